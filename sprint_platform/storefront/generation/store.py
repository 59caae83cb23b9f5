"""The only entry point of a store's records: any table of any day.

Any day, alone, in any order, in any process: the records are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pyarrow as pa

from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform.storefront.errors import StorefrontError
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.clickstream import Clickstream
from sprint_platform.storefront.generation.customers import Customers
from sprint_platform.storefront.generation.inventory import Inventory
from sprint_platform.storefront.generation.orders import Orders
from sprint_platform.storefront.generation.players import LinkedPlayers
from sprint_platform.storefront.generation.products import Products
from sprint_platform.storefront.generation.reviews import Reviews
from sprint_platform.storefront.generation.sessions import Sessions
from sprint_platform.storefront.held import source_of
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform.title import Title


class Store:
    """One store. ``source`` says what its records come from, as 16 hex digits."""

    def __init__(self, settings: StoreSettings) -> None:
        players = _players(settings)
        self.settings = settings
        self.source = source_of(settings)
        calendar = Calendar(settings)
        customers = Customers(settings, calendar, players)
        products = Products(settings, calendar)
        orders = Orders(settings, calendar, customers, products)
        sessions = Sessions(settings, calendar, customers, orders)
        self._calendar = calendar
        self._tables = {
            "raw_customers": customers.table,
            "raw_products": products.table,
            "raw_orders": orders.table,
            "raw_inventory": Inventory(settings, calendar, products, orders).table,
            "raw_reviews": Reviews(settings, calendar, customers, products, orders).table,
            "raw_sessions": sessions.table,
            "raw_clickstream": Clickstream(settings, products, orders, sessions).table,
        }
        assert list(self._tables) == list(BRONZE_TABLES)

    def table(self, name: str, day: date) -> Iterator[pa.Table]:
        """The day's records of a bronze table. Raises StorefrontError before the store opened."""
        number = self._calendar.day(day)
        if number < 0:
            raise StorefrontError(
                f"the store opens on {self.settings.start}: there is no {name} of {day}"
            )
        yield self._tables[name](number)


def _players(settings: StoreSettings) -> LinkedPlayers | None:
    """The players of the title; None where the title is landed or the store has none."""
    if not settings.title:
        return None
    title = Title.load(settings.title)
    return None if title.simulation is None else LinkedPlayers(title, settings.seed)
