"""The warehouse: every movement of stock, and what is on hand after it.

The store plans its demand: on a product's day of the week comes in what is shipped until the next
such day, plus what the last count did not find. So the stock after any movement is the safety
stock, plus what is still to be shipped in the product's week, less what this week's count did not
find: no earlier day is needed, and the stock is never below zero. Products that customers return
are written off.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import U64, below, mix, pick, picker, stream_key
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    midnight,
    timestamp_column,
    word_column,
)
from sprint_platform.storefront.contracts import (
    BRONZE_TABLES,
    IDS_A_DAY,
    MOVEMENT_REASONS,
    MOVEMENT_TYPES,
)
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.hours import DAY, I64
from sprint_platform.storefront.generation.orders import SHIPPED_WITHIN, Orders
from sprint_platform.storefront.generation.products import Products
from sprint_platform.storefront.settings import StoreSettings

WEEK = 7
INITIAL, RESTOCK, SALE, COUNT = range(4)  # indices into MOVEMENT_REASONS
TYPES = np.array([MOVEMENT_TYPES.index(name) for name in ("IN", "IN", "OUT", "ADJUSTMENT")])
DOCUMENTS = ("GR", "GR", "DN", "CT")  # goods receipts, delivery notes and count sheets

# Seconds of the day. Orders are shipped between 08:00 and 18:00: after what comes in, and before
# the count. The planned stock is the real one only in this order.
INITIAL_AT, RESTOCK_AT, COUNT_AT = 1800, 5 * 3600, 22 * 3600

# Pieces, both ends included. A week has one count, so the stock bears the largest loss.
SAFETY_STOCK = (5, 20)
# How often a count misses 0, 1, 2 and 3 pieces: most products sell less than a piece a week.
_MISSED = picker((985, 10, 3, 2))

WAREHOUSES = ("EU-1", "EU-2", "US-1", "US-2")
_WAREHOUSE = picker((35, 20, 30, 15))


@dataclass(frozen=True)
class _Movements:
    """Movements of a day: parallel arrays. ``at`` is in seconds since 1970, ``reason`` indexes
    MOVEMENT_REASONS; ``order_id`` and ``line`` are 0 unless it is a sale."""

    at: I64
    product: I64
    order_id: I64
    line: I64
    reason: I64
    quantity: I64


class Inventory:
    """The warehouse of one store."""

    def __init__(
        self, settings: StoreSettings, calendar: Calendar, products: Products, orders: Orders
    ) -> None:
        self._seed = settings.seed
        self._calendar = calendar
        self._products = products
        self._orders = orders
        # a day's sales are asked for again by the six days before it
        self._sales = lru_cache(maxsize=16)(self._sales_on)

    def table(self, day: int) -> pa.Table:
        """The day's movements as ``raw_inventory``, in the order of ``movement_id``."""
        to_ship = self._to_ship(day)
        moved = self._movements(day, to_ship)
        movement_id = day * IDS_A_DAY + np.arange(1, moved.at.size + 1)
        stock = self._stock_after(day, moved, to_ship)
        not_sold = moved.reason != SALE
        columns = [
            pa.array(movement_id),
            pa.array(moved.product),
            word_column(MOVEMENT_TYPES, TYPES[moved.reason]),
            word_column(MOVEMENT_REASONS, moved.reason),
            pa.array(moved.quantity.astype(np.int32)),
            pa.array(stock.astype(np.int32)),
            pa.array(moved.order_id, mask=not_sold),
            pa.array(moved.line.astype(np.int16), mask=not_sold),
            timestamp_column(moved.at * MICROSECONDS),
            pc.binary_join_element_wise(
                '{"warehouse":"',
                word_column(WAREHOUSES, pick(_WAREHOUSE, self._draw("warehouse", moved.product))),
                '","document":"',
                word_column(DOCUMENTS, moved.reason),
                "-",
                pa.array(movement_id).cast(pa.string()),
                '"}',
                "",
            ),
        ]
        return pa.Table.from_arrays(columns, schema=BRONZE_TABLES["raw_inventory"].arrow_schema)

    def _draw(self, what: str, entity: I64) -> U64:
        return mix(stream_key(self._seed, what), entity)

    def _movements(self, day: int, to_ship: I64) -> _Movements:
        """The day's movements in order of time, product, order and line."""
        start = midnight(self._calendar.date(day)) // MICROSECONDS
        before = self._calendar.products_by(day - 1)
        # a new product's initial stock covers its first week: it is not restocked that day
        new = np.arange(before + 1, self._calendar.products_by(day) + 1)
        known = np.arange(1, before + 1)
        due = known[_days_into_week(day, known) == 0]
        last_count = day - 1 - _days_since_count(day - 1, due)
        refill = to_ship[due] + self._missed(due, last_count)
        due, refill = due[refill > 0], refill[refill > 0]
        product = np.concatenate([known, new])
        counted = product[_days_since_count(day, product) == 0]
        missed = self._missed(counted, np.full(counted.size, day))
        parts = (
            _of_stock(INITIAL, start + INITIAL_AT, new, self._safety_stock(new) + to_ship[new]),
            _of_stock(RESTOCK, start + RESTOCK_AT, due, refill),
            self._sales(day),
            _of_stock(COUNT, start + COUNT_AT, counted, -missed),
        )
        joined = [np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(_Movements)]
        rows = np.lexsort(joined[3::-1])  # the first four, the first one first
        return _Movements(*(values[rows] for values in joined))

    def _stock_after(self, day: int, moved: _Movements, to_ship: I64) -> I64:
        """Pieces on hand after each of the day's movements."""
        product = moved.product
        left = to_ship[product] - _sold_so_far(moved)
        week_began = day - _days_into_week(day, product)
        last_count = day - _days_since_count(day, product)
        # today's count comes last: no other movement of the day depends on it
        this_week = (last_count >= week_began) & ((last_count < day) | (moved.reason == COUNT))
        missed = np.where(this_week, self._missed(product, last_count), 0)
        return self._safety_stock(product) + left - missed

    def _to_ship(self, day: int) -> I64:
        """Pieces that are shipped from the beginning of the day until the product's next restock,
        at the index of the product's number."""
        there = self._calendar.products_by(day)
        pieces = np.zeros(there + 1, np.int64)
        for ahead in range(WEEK):
            sold = self._sales(day + ahead)
            # a product that is added later has no stock yet
            planned = sold.product <= there
            planned &= _days_into_week(day, sold.product) + ahead < WEEK
            np.subtract.at(pieces, sold.product[planned], sold.quantity[planned])
        return pieces

    def _sales_on(self, day: int) -> _Movements:
        """The lines of the orders that are shipped on the day."""
        start = midnight(self._calendar.date(day)) // MICROSECONDS
        placed = self._orders.placed(day - SHIPPED_WITHIN, day)
        at = placed.shipped_at[placed.line_of]
        line = np.flatnonzero((at >= start) & (at < start + DAY))
        return _Movements(
            at=at[line],
            product=placed.product[line],
            order_id=placed.order_id[placed.line_of[line]],
            line=placed.line_number[line],
            reason=np.full(line.size, SALE),
            quantity=-placed.quantity[line],
        )

    def _safety_stock(self, product: I64) -> I64:
        low, high = SAFETY_STOCK
        return low + below(self._draw("safety stock", product), high - low + 1)

    def _missed(self, product: I64, day: I64) -> I64:
        """Pieces that the products' counts on these days do not find; 0 before they are added."""
        missed = pick(_MISSED, self._draw("stock count", (day << 32) + product)).astype(np.int64)
        return np.where(day >= self._products.added_day(product), missed, 0)


def _of_stock(reason: int, at: int, product: I64, quantity: I64) -> _Movements:
    """Movements without an order, one of each product, all at the same second."""
    nothing = np.zeros_like(product)
    return _Movements(nothing + at, product, nothing, nothing, nothing + reason, quantity)


def _days_into_week(day: int, product: I64) -> I64:
    """Days since the products' day of the week, on which they are restocked: 0 … 6."""
    return (day + product) % WEEK


def _days_since_count(day: int, product: I64) -> I64:
    """Days since the products' last count: 0 … 6. It is on any day of their week: 3 and 7 have no
    common divisor."""
    return (day + 3 * product) % WEEK


def _sold_so_far(moved: _Movements) -> I64:
    """Pieces of the product that are shipped on the day up to each movement, that one included."""
    sold = np.where(moved.reason == SALE, -moved.quantity, 0)
    order = np.argsort(moved.product, kind="stable")
    product = moved.product[order]
    total = np.cumsum(sold[order])
    first = np.searchsorted(product, product)
    so_far = np.empty_like(total)
    so_far[order] = total - (total - sold[order])[first]
    return so_far
