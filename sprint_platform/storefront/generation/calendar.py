"""How many customers, products, orders and sessions the store has had by the end of any day.

Everything is numbered from 1 in the order in which it came, so a day's numbers lie between two
points of a curve, which needs no other day. Days count from 0, the day on which the store opened.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

from sprint_platform.storefront.errors import StorefrontError
from sprint_platform.storefront.settings import StoreSettings

# A fifth of the customers and most of the products are there on the first day: a store opens with
# the accounts and the range that its game brings along.
OPENING_CUSTOMERS, OPENING_PRODUCTS = Fraction(1, 5), Fraction(4, 5)
# Web sessions for each order: 1,000 a day where there are 137 orders.
SESSIONS_PER_ORDER = Fraction(73, 10)

# The weights of so many add up to less than 2^31; a draw among more would wrap.
MOST = {"customers": 30_000_000, "products": 2_000_000}

# Weights in hundredths. Online shops sell most early in the week and least on Saturdays; the last
# quarter is the strongest.
WEEKDAY = (108, 104, 101, 99, 96, 90, 102)
MONTH = (92, 88, 92, 93, 95, 96, 97, 94, 98, 102, 122, 131)
# (first month, first day, last month, last day, discount in percent, weight in hundredths)
SALES = (
    (3, 20, 3, 26, 15, 150),
    (6, 26, 7, 9, 20, 165),
    (11, 24, 11, 30, 30, 260),
    (12, 22, 12, 31, 15, 140),
)


class Calendar:
    """The curves of one store."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self._weights = [0]  # summed weights of registrations before day d, grown on demand
        self._order_weights = [0]
        end = settings.days
        self._grow(end)
        self._total = self._weights[end] - self._weights[1]
        self._order_total = self._order_weights[end]

    def date(self, day: int) -> dt.date:
        """The date of a day."""
        return self.settings.start + dt.timedelta(days=day)

    def day(self, when: dt.date) -> int:
        """The day of a date; negative before the store opened."""
        return (when - self.settings.start).days

    def sale_percent(self, day: int) -> int:
        """The discount of the sale that runs on that day, in percent; 0 without a sale."""
        sale = _sale(self.date(day))
        return sale[4] if sale else 0

    def customers_by(self, day: int) -> int:
        """Customers registered by the end of the day."""
        return self._arrived("customers", self.settings.customers, OPENING_CUSTOMERS, day)

    def products_by(self, day: int) -> int:
        """Products on sale by the end of the day."""
        return self._arrived("products", self.settings.products, OPENING_PRODUCTS, day)

    def orders_by(self, day: int) -> int:
        """Orders placed by the end of the day."""
        return int(self._ordered(Fraction(self.settings.orders), day))

    def sessions_by(self, day: int) -> int:
        """Web sessions begun by the end of the day; on each day at least as many as orders."""
        return int(self._ordered(self.settings.orders * SESSIONS_PER_ORDER, day)) + max(day + 1, 0)

    def _arrived(self, what: str, total: int, opening: Fraction, day: int) -> int:
        if day < 0:
            return 0
        if self.settings.days == 1:  # the pace of later days is unknown
            return total
        first = max(1, int(total * opening))
        self._grow(day + 1)
        since = self._weights[day + 1] - self._weights[1]
        arrived = first + (total - first) * since // self._total
        if arrived > MOST[what]:
            raise StorefrontError(
                f"on {self.date(day)} the store would have {arrived:,} {what}, more than the"
                f" {MOST[what]:,} that can be made: take fewer, or more days to get there"
            )
        return arrived

    def _ordered(self, total: Fraction, day: int) -> Fraction:
        if day < 0:
            return Fraction(0)
        self._grow(day + 1)
        return total * self._order_weights[day + 1] / self._order_total

    def _grow(self, days: int) -> None:
        while len(self._weights) <= days:
            day = len(self._weights) - 1
            weight = _weight(self.date(day))
            self._weights.append(self._weights[day] + weight)
            # a store with more customers sells more: from 70 % of its pace at first to 130 %
            last = self.settings.days - 1
            pace = 70 + 60 * min(day, last) // max(1, last)
            self._order_weights.append(self._order_weights[day] + weight * pace)


def _weight(when: dt.date) -> int:
    sale = _sale(when)
    return WEEKDAY[when.weekday()] * MONTH[when.month - 1] * (sale[5] if sale else 100)


def _sale(when: dt.date) -> tuple[int, int, int, int, int, int] | None:
    for sale in SALES:
        if (sale[0], sale[1]) <= (when.month, when.day) <= (sale[2], sale[3]):
            return sale
    return None
