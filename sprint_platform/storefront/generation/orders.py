"""Orders: who buys what, what it costs, and when each order reaches which status."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import U64, below, mix, pick, picker, remix, stream_key, threshold
from sprint_platform.draws import top_bits as top
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    decimal_column,
    midnight,
    timestamp_column,
    word_column,
)
from sprint_platform.storefront.contracts import (
    BRONZE_TABLES,
    CURRENCY,
    PAYMENT_METHODS,
    PAYMENT_STATUSES,
    STATUSES,
)
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.customers import Customers
from sprint_platform.storefront.generation.hours import DAY, I64, U8, visit_second
from sprint_platform.storefront.generation.products import Products
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform.title import COUNTRIES

# A status that an order never reaches; later than any day.
NEVER = 1 << 40
# Each status comes within so many days after the day of the order, if it ever does.
SHIPPED_WITHIN, DELIVERED_WITHIN, SETTLED_WITHIN = 4, 12, 30

_LINES = picker([46, 26, 14, 8, 4, 2])
_MOST_LINES = 6
_TOGETHER = threshold(0.45)
_QUANTITIES = picker([82, 13, 5])
_COUPON, _COUPON_PERCENT = threshold(0.12), 10
_METHODS = picker([62, 26, 6, 6])
_BANK_TRANSFER = PAYMENT_METHODS.index("bank_transfer")
_UNPAID, _CANCELLED, _RETURNED = threshold(0.02), threshold(0.03), threshold(0.05)
# Sales taxes by country, in hundredths of a percent: an average over the states of the US, and the
# standard rates of value-added tax elsewhere.
_TAX = np.array(
    [{"US": 750, "BR": 1700, "MX": 1600, "FR": 2000, "ES": 2100, "DE": 1900}[c] for c in COUNTRIES],
    np.int64,
)
_HOME = np.array([code == "US" for code in COUNTRIES])
_FREE_FROM, _SHIPPING_HOME, _SHIPPING_ABROAD = 50_00, 4_99, 9_99
_HUNDREDTHS = [f"{cent:02d}" for cent in range(100)]


@dataclass(frozen=True)
class Placed:
    """The orders of some days: parallel arrays, an entry per order, ascending by ``order_id``.

    Times are seconds since 1970, or NEVER. The lines lie in arrays of their own: ``line_of`` is the
    index of the line's order, ``line_number`` counts from 1 in it; money is in cents.
    """

    order_id: I64
    customer: I64
    session_id: I64
    session_started_at: I64
    ordered_at: I64
    paid_at: I64
    shipped_at: I64
    delivered_at: I64
    returned_at: I64
    cancelled_at: I64
    line_of: I64
    line_number: I64
    product: I64
    quantity: I64
    unit_price: I64
    discount: I64

    def __len__(self) -> int:
        return int(self.order_id.size)


class Orders:
    """The orders of one store."""

    def __init__(
        self, settings: StoreSettings, calendar: Calendar, customers: Customers, products: Products
    ) -> None:
        self._seed = settings.seed
        self._calendar = calendar
        self._customers = customers
        self._products = products
        # days are asked for again while their orders are shipped and reviewed
        self._day = lru_cache(maxsize=64)(self._placed_on)
        self._span = lru_cache(maxsize=8)(self._placed_in)

    def placed(self, first: int, last: int) -> Placed:
        """The orders of the days from ``first`` (0 at the earliest) to ``last``, both included."""
        return self._span(max(first, 0), last)

    def table(self, day: int) -> pa.Table:
        """The day's ``raw_orders``: every order as it was when it reached a status on that day."""
        start = midnight(self._calendar.date(day)) // MICROSECONDS
        placed = self.placed(day - SETTLED_WITHIN, day)
        reached = (
            placed.ordered_at,
            placed.paid_at,
            placed.shipped_at,
            placed.delivered_at,
            placed.returned_at,
            placed.cancelled_at,
        )
        which = [np.flatnonzero((at >= start) & (at < start + DAY)) for at in reached]
        order = np.concatenate(which)
        status = np.repeat(np.arange(len(STATUSES)), [found.size for found in which])
        at = np.concatenate([at[found] for at, found in zip(reached, which, strict=True)])
        rows = np.lexsort((status, placed.order_id[order], at))
        return self._image(placed, order[rows], status[rows], at[rows])

    def _image(self, placed: Placed, order: I64, status: I64, at: I64) -> pa.Table:
        """Whole orders, one row per entry of ``order``, an index into ``placed``."""
        customer = placed.customer[order]
        country = self._customers.country(customer)
        used, row = np.unique(order, return_inverse=True)
        amounts = _amounts(placed, used, self._customers.country(placed.customer[used]))
        # pending; paid; and at the end failed where nothing was paid, or refunded
        unpaid = placed.paid_at[order] == NEVER
        payment = np.array([0, 1, 1, 1, 3, 3])[status] - np.where(unpaid & (status == 5), 1, 0)
        coupon = self._coupon(placed.order_id[order])
        columns = [
            pa.array(placed.order_id[order]),
            word_column(STATUSES, status),
            timestamp_column(at * MICROSECONDS),
            pa.array(customer),
            pa.array(placed.session_id[order]),
            timestamp_column(placed.ordered_at[order] * MICROSECONDS),
            _items(placed, used).take(pa.array(row)),
            *(decimal_column(amount[row].astype(np.int32), 9) for amount in amounts),
            word_column([CURRENCY], np.zeros(order.size, np.int8)),
            word_column(PAYMENT_METHODS, self._method(placed.order_id[order])),
            word_column(PAYMENT_STATUSES, payment),
            word_column(COUNTRIES, country),
            pc.binary_join_element_wise(
                '{"coupon": ',
                word_column(["null", f'"THANKS{_COUPON_PERCENT}"'], coupon.astype(np.int8)),
                ', "gift": ',
                word_column(["false", "true"], self._gift(placed.order_id[order]).astype(np.int8)),
                "}",
                "",
            ),
        ]
        return pa.Table.from_arrays(columns, schema=BRONZE_TABLES["raw_orders"].arrow_schema)

    def _draw(self, what: str, order_id: I64) -> U64:
        return mix(stream_key(self._seed, what), order_id)

    def _method(self, order_id: I64) -> U8:
        return pick(_METHODS, self._draw("payment method", order_id))

    def _coupon(self, order_id: I64) -> np.ndarray:
        return top(self._draw("coupon", order_id)) < _COUPON

    def _gift(self, order_id: I64) -> np.ndarray:
        return top(self._draw("gift", order_id)) < threshold(0.06)

    def _placed_in(self, first: int, last: int) -> Placed:
        days = [self._day(day) for day in range(first, last + 1)]
        joined = {
            field.name: np.concatenate([getattr(day, field.name) for day in days])
            for field in fields(Placed)
        }
        starts = np.cumsum([0, *(len(day) for day in days[:-1])])
        joined["line_of"] += np.repeat(starts, [day.line_of.size for day in days])
        return Placed(**joined)

    def _placed_on(self, day: int) -> Placed:
        before, after = self._calendar.orders_by(day - 1), self._calendar.orders_by(day)
        order_id = np.arange(before + 1, after + 1)
        start = midnight(self._calendar.date(day)) // MICROSECONDS
        customer = self._customers.choose(day, self._draw("order customer", order_id))
        country = self._customers.country(customer)
        began = start + visit_second(
            self._draw("order hour", order_id),
            country,
            self._customers.earliest(day, customer) - start,
        )
        ordered = began + 120 + below(self._draw("shopping time", order_id), 1681)
        # a purchase is one of the day's web sessions: the orders lie evenly among them
        sessions = self._calendar.sessions_by(day) - self._calendar.sessions_by(day - 1)
        place = np.arange(order_id.size) * sessions // max(1, order_id.size)
        return Placed(
            order_id,
            customer,
            self._calendar.sessions_by(day - 1) + 1 + place,
            began,
            ordered,
            *self._course(order_id, ordered),
            *self._basket(day, order_id),
        )

    def _course(self, order_id: I64, ordered: I64) -> tuple[I64, I64, I64, I64, I64]:
        """When the orders are paid, shipped, delivered, returned and cancelled."""
        fate = self._draw("course", order_id)
        slow = self._method(order_id) == _BANK_TRANSFER
        within = self._draw("payment time", order_id)
        paid = ordered + np.where(
            slow, 6 * 3600 + below(within, 30 * 3600), 20 + below(within, 280)
        )
        unpaid = top(fate) < _UNPAID
        cancelled = top(remix(fate, 1)) < _CANCELLED
        cancelled_at = np.where(
            unpaid, ordered + DAY, paid + 3600 + below(remix(fate, 2), 9 * 3600)
        )
        shipped = _days_later(paid, 1 + below(remix(fate, 3), 2), 8, 10, remix(fate, 4))
        delivered = _days_later(shipped, 1 + below(remix(fate, 5), 7), 9, 11, remix(fate, 6))
        returned = _days_later(delivered, 2 + below(remix(fate, 7), 13), 9, 12, remix(fate, 8))
        sent = ~(unpaid | cancelled)
        comes_back = sent & (top(remix(fate, 9)) < _RETURNED)
        return (
            np.where(unpaid, NEVER, paid),
            np.where(sent, shipped, NEVER),
            np.where(sent, delivered, NEVER),
            np.where(comes_back, returned, NEVER),
            np.where(sent, NEVER, cancelled_at),
        )

    def _basket(self, day: int, order_id: I64) -> tuple[I64, I64, I64, I64, I64, I64]:
        """The orders' lines: index of the order, number, product, quantity, price, discount."""
        shape = (order_id.size, _MOST_LINES)
        # an order has 8 numbers for the draws of its lines
        slot = (order_id[:, None] * 8 + np.arange(_MOST_LINES)).reshape(-1)
        products = self._products.choose(day, self._draw("product", slot)).reshape(shape)
        draw = self._draw("goes together", slot)
        first = np.repeat(products[:, 0], _MOST_LINES)
        companions = self._products.companion(first, remix(draw, 1)).reshape(shape)
        together = (top(draw) < _TOGETHER).reshape(shape)
        together[:, 0] = False
        products = np.where(together, companions, products)
        lines = pick(_LINES, self._draw("lines", order_id))
        there: npt.NDArray[np.bool_] = np.arange(_MOST_LINES) <= lines[:, None]
        for line in range(1, _MOST_LINES):
            # a product is in a basket once
            again = (products[:, :line] == products[:, line : line + 1]) & there[:, :line]
            there[:, line] &= ~again.any(axis=1)
        line_of = np.nonzero(there)[0].astype(np.int64)
        number = np.cumsum(there, axis=1, dtype=np.int64)[there]
        product = products[there]
        quantity = 1 + pick(_QUANTITIES, self._draw("quantity", slot[there.reshape(-1)]))
        quantity = quantity.astype(np.int64)
        price = self._products.price(product)
        percent = np.where(self._coupon(order_id), _COUPON_PERCENT, 0)
        percent = np.maximum(percent, self._calendar.sale_percent(day))[line_of]
        return line_of, number, product, quantity, price, quantity * price * percent // 100


def _days_later(since: I64, days: I64, first_hour: int, hours: int, draw: U64) -> I64:
    """A second within working hours, so many days after the day of ``since``."""
    start = since // DAY + days
    return start * DAY + first_hour * 3600 + below(draw, hours * 3600)


def _amounts(placed: Placed, used: I64, country: U8) -> tuple[I64, I64, I64, I64, I64]:
    """Subtotal, discount, tax, shipping and total of these orders, in cents."""
    count = len(placed)
    subtotal, discount = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.add.at(subtotal, placed.line_of, placed.quantity * placed.unit_price)
    np.add.at(discount, placed.line_of, placed.discount)
    subtotal, discount = subtotal[used], discount[used]
    net = subtotal - discount
    tax = (net * _TAX[country] + 5000) // 10_000
    post = np.where(_HOME[country], _SHIPPING_HOME, _SHIPPING_ABROAD)
    shipping = np.where(net >= _FREE_FROM, 0, post)
    return subtotal, discount, tax, shipping, net + tax + shipping


def _items(placed: Placed, used: I64) -> pa.Array:
    """The lines of these orders, as one JSON array for each."""
    lines = np.flatnonzero(np.isin(placed.line_of, used))
    of = placed.line_of[lines]
    quantity, price, discount = (
        part[lines] for part in (placed.quantity, placed.unit_price, placed.discount)
    )
    texts = pc.binary_join_element_wise(
        '{"line": ',
        pa.array(placed.line_number[lines]).cast(pa.string()),
        ', "product_id": ',
        pa.array(placed.product[lines]).cast(pa.string()),
        ', "quantity": ',
        pa.array(quantity).cast(pa.string()),
        ', "unit_price": ',
        _money(price),
        ', "discount": ',
        _money(discount),
        ', "amount": ',
        _money(quantity * price - discount),
        "}",
        "",
    )
    ends = np.searchsorted(of, used, side="right")
    listed = pa.ListArray.from_arrays(pa.array([0, *ends], pa.int32()), texts)
    return pc.binary_join_element_wise("[", pc.binary_join(listed, ", "), "]", "")


def _money(cents: I64) -> pa.Array:
    """Amounts with two decimals."""
    return pc.binary_join_element_wise(
        pa.array(cents // 100).cast(pa.string()), word_column(_HUNDREDTHS, cents % 100), "."
    )
