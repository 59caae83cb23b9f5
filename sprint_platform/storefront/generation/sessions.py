"""Web sessions: who visits the store on a day, from when to when, and how far they get."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from sprint_platform.draws import U64, below, mix, pick, picker, remix, stream_key, threshold
from sprint_platform.draws import top_bits as top
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    midnight,
    timestamp_column,
    word_column,
)
from sprint_platform.storefront.contracts import BRONZE_TABLES, CATEGORIES, CHANNELS
from sprint_platform.storefront.generation.calendar import SESSIONS_PER_ORDER, Calendar
from sprint_platform.storefront.generation.customers import Customers
from sprint_platform.storefront.generation.hours import I64, U8, visit_second
from sprint_platform.storefront.generation.orders import Orders
from sprint_platform.storefront.generation.visitors import (
    channels,
    country_of_visit,
    strangers_country,
    visitors,
)
from sprint_platform.storefront.settings import StoreSettings

# How far a session gets: the first page only; products; the cart; the checkout; an order.
BOUNCE, BROWSE, CART, ABANDONED, PURCHASE = range(5)
_DEPTHS = picker([35, 40, 17, 8])
# (least, most) seconds of the sessions without an order, by depth. Each has more seconds than the
# clickstream has events for it, and ends on the day: sessions begin before 23:00.
_SECONDS = np.array([(5, 60), (60, 900), (120, 1500), (180, 1800)], np.int64)
# seconds that a buyer stays after the order
_STAYS = (10, 300)

# 60 % of all sessions are logged in: all those with an order, and this share of the others.
_LOGGED_IN = threshold((6 * SESSIONS_PER_ORDER / 10 - 1) / (SESSIONS_PER_ORDER - 1))

HOME_PAGE, NEW_PAGE, SALE_PAGE, FIRST_CATEGORY_PAGE = range(4)
CATEGORY_PAGES = tuple(
    "/categories/" + name.lower().replace(" & ", "-").replace(" ", "-") for name in CATEGORIES
)
LANDING_PAGES = ("/", "/new", "/sale", *CATEGORY_PAGES)
# Weights of the home page, what is new, the sale, and each category, by channel.
_LANDINGS = {
    "direct": (78, 8, 6, 1),
    "search": (24, 6, 6, 8),
    "social": (26, 42, 12, 2.5),
    "email": (10, 35, 43, 1.5),
    "in_game": (30, 42, 8, 2.5),
    "affiliate": (16, 16, 28, 5),
}
_LANDING = np.stack(
    [
        picker([*_LANDINGS[name][:3], *_LANDINGS[name][3:] * len(CATEGORY_PAGES)])
        for name in CHANNELS
    ]
)


@dataclass(frozen=True)
class Visits:
    """A day's sessions: parallel arrays, an entry per session, ascending by ``session_id``.

    ``customer`` is 0 for nobody known. Times are seconds since 1970. ``order`` is the index into
    the day's ``Orders.placed``, -1 without an order. ``home`` and ``country`` index COUNTRIES,
    ``channel`` CHANNELS, ``landing`` LANDING_PAGES; ``depth`` is one of the five above.
    """

    session_id: I64
    customer: I64
    started_at: I64
    ended_at: I64
    order: I64
    depth: U8
    home: U8
    country: U8
    channel: U8
    landing: U8


class Sessions:
    """The web sessions of one store."""

    def __init__(
        self, settings: StoreSettings, calendar: Calendar, customers: Customers, orders: Orders
    ) -> None:
        self._seed = settings.seed
        self._calendar = calendar
        self._customers = customers
        self._orders = orders
        # the clickstream asks for the same day
        self.visits = lru_cache(maxsize=4)(self._begun)

    def table(self, day: int) -> pa.Table:
        """The day's ``raw_sessions``."""
        visits = self.visits(day)
        who = visitors(
            self._seed, visits.session_id, visits.customer, visits.home, visits.country,
            visits.channel,
        )  # fmt: skip
        columns = [
            pa.array(visits.session_id),
            pa.array(visits.customer, mask=visits.customer == 0),
            timestamp_column(visits.started_at * MICROSECONDS),
            timestamp_column(visits.ended_at * MICROSECONDS),
            who.device,
            who.browser,
            who.operating_system,
            who.country,
            who.city,
            who.ip_address,
            who.channel,
            word_column(LANDING_PAGES, visits.landing),
            who.raw_data,
        ]
        return pa.Table.from_arrays(columns, schema=BRONZE_TABLES["raw_sessions"].arrow_schema)

    def _draw(self, what: str, session_id: I64) -> U64:
        return mix(stream_key(self._seed, what), session_id)

    def _begun(self, day: int) -> Visits:
        """The sessions that begin on the day."""
        before = self._calendar.sessions_by(day - 1)
        session_id = np.arange(before + 1, self._calendar.sessions_by(day) + 1)
        placed = self._orders.placed(day, day)
        buys = placed.session_id - before - 1
        order = np.full(session_id.size, -1, np.int64)
        order[buys] = np.arange(len(placed))

        customer = np.zeros_like(session_id)
        draw = self._draw("web logged in", session_id)
        known = np.flatnonzero((order < 0) & (top(draw) < _LOGGED_IN))
        customer[known] = self._customers.choose(day, self._draw("web customer", session_id[known]))
        customer[buys] = placed.customer
        logged_in = customer > 0
        home = strangers_country(self._seed, session_id)
        home[logged_in] = self._customers.country(customer[logged_in])
        country = country_of_visit(self._seed, session_id, home)

        start = midnight(self._calendar.date(day)) // MICROSECONDS
        earliest = np.zeros_like(session_id)
        earliest[known] = self._customers.earliest(day, customer[known]) - start
        started_at = start + visit_second(self._draw("web hour", session_id), country, earliest)
        started_at[buys] = placed.session_started_at

        depth = pick(_DEPTHS, self._draw("web depth", session_id))
        draw = self._draw("web seconds", session_id)
        least, most = _SECONDS[depth].T
        # the lower of two draws: most visits are short
        seconds = least + np.minimum(
            below(draw, most - least + 1), below(remix(draw, 1), most - least + 1)
        )
        ended_at = started_at + seconds
        shortest, longest = _STAYS
        ended_at[buys] = placed.ordered_at + shortest + below(draw[buys], longest - shortest + 1)
        depth[buys] = PURCHASE

        channel = channels(self._seed, session_id, customer)
        draw = self._draw("web landing", session_id)
        landing = _LANDING[channel, (draw >> np.uint64(48)).astype(np.intp)]
        if not self._calendar.sale_percent(day):
            landing[landing == SALE_PAGE] = NEW_PAGE
        return Visits(
            session_id=session_id,
            customer=customer,
            started_at=started_at,
            ended_at=ended_at,
            order=order,
            depth=depth,
            home=home,
            country=country,
            channel=channel,
            landing=landing,
        )
