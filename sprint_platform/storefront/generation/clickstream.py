"""The clickstream: what visitors do in their sessions, event by event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import U64, below, mix, pick, picker, remix, stream_key, threshold
from sprint_platform.draws import top_bits as top
from sprint_platform.simulation.columns import MICROSECONDS, timestamp_column, word_column
from sprint_platform.storefront.contracts import BRONZE_TABLES, CATEGORIES, EVENT_TYPES
from sprint_platform.storefront.generation.hours import I64, U8
from sprint_platform.storefront.generation.orders import Orders, Placed
from sprint_platform.storefront.generation.product_words import CATEGORIES as CATALOGUE
from sprint_platform.storefront.generation.products import Products
from sprint_platform.storefront.generation.sessions import (
    ABANDONED,
    CART,
    FIRST_CATEGORY_PAGE,
    LANDING_PAGES,
    PURCHASE,
    Sessions,
    Visits,
)
from sprint_platform.storefront.settings import StoreSettings

Flags = npt.NDArray[np.bool_]

PAGE_VIEW, SEARCH, CLICK, ADD_TO_CART, CHECKOUT, BUY = range(len(EVENT_TYPES))

# Products looked at, by depth: 1 to 4, weighted; with an order, 0 to 3 beside those that are
# bought. Nothing in a bounce.
_LOOKS = np.stack(
    [
        picker([1]),
        picker([0, 62, 26, 9, 3]),
        picker([0, 30, 34, 24, 12]),
        picker([0, 30, 34, 24, 12]),
        picker([44, 32, 16, 8]),
    ]
)
# More than a session can have: at most 3 looks beside an order of 6 products.
_LOOKS_BELOW = 16
_EVENTS_BELOW = 64
_SEARCHES = threshold(0.35)
# of what is looked at in sessions that end with a full cart, beside the last
_ADDS = threshold(0.3)
_QUANTITIES = picker([82, 13, 5])
# a list shows so many products on its first page; searches find at least as many
_ON_A_PAGE, _MOST_FOUND = 24, 240

# What people search for: the category, or one of its shelves; each query belongs to one category.
_QUERIES: tuple[tuple[str, ...], ...] = tuple(
    (name.lower(), *(shelf.name.lower() for shelf in CATALOGUE[name].subcategories))
    for name in CATEGORIES
)
_QUERY_COUNT = np.array([len(queries) for queries in _QUERIES], np.int64)
_QUERY_FIRST = np.cumsum(_QUERY_COUNT) - _QUERY_COUNT
_ALL_QUERIES = tuple(query for queries in _QUERIES for query in queries)

# Pages that are the same every day; a table's other pages are its products' and its orders'.
_PAGES = (*LANDING_PAGES, "/search", "/cart", "/checkout")
_SEARCH_PAGE, _CART_PAGE, _CHECKOUT_PAGE = range(len(LANDING_PAGES), len(_PAGES))
_NONE = -1


@dataclass(frozen=True)
class Looks:
    """Products looked at, session by session in order: parallel arrays.

    ``session`` indexes the day's sessions. A look has a list of products first (``listed``), as
    found by ``query`` (an index into all queries, -1 for none) or of a category, unless the landing
    page was that list; then a click at a ``position`` of the list, from 0, and the product's page;
    and ``quantity`` is put into the cart (0 for none).
    """

    session: I64
    product: I64
    category: U8
    listed: Flags
    query: I64
    position: I64
    quantity: I64

    @property
    def events(self) -> I64:
        """How many events each look has."""
        return 2 + self.listed + (self.quantity > 0)


class Clickstream:
    """The events of one store's web sessions."""

    def __init__(
        self,
        settings: StoreSettings,
        products: Products,
        orders: Orders,
        sessions: Sessions,
    ) -> None:
        self._seed = settings.seed
        self._products = products
        self._orders = orders
        self._sessions = sessions
        found = mix(stream_key(settings.seed, "web results"), np.arange(len(_ALL_QUERIES)))
        self._found = _ON_A_PAGE + below(found, _MOST_FOUND - _ON_A_PAGE)

    def table(self, day: int) -> pa.Table:
        """The day's ``raw_clickstream``, session by session in order of time."""
        visits, placed = self._sessions.visits(day), self._orders.placed(day, day)
        looks = self._looks(day, visits, placed)

        # a session is its landing page, its looks, then cart, checkout and purchase as it has them
        before = np.concatenate([[0], np.cumsum(looks.events)])
        bounds = np.searchsorted(looks.session, np.arange(visits.session_id.size + 1))
        of_looks = np.diff(before[bounds])
        after = np.maximum(visits.depth.astype(np.int64) - CART + 1, 0)
        events = 1 + of_looks + after
        first = np.cumsum(events) - events
        session = np.repeat(np.arange(events.size), events)
        place = np.arange(session.size) - first[session]

        kind = np.full(session.size, PAGE_VIEW, np.uint8)
        page = np.empty(session.size, np.int32)
        product = np.zeros(session.size, np.int64)
        order_id = np.zeros(session.size, np.int64)
        query = np.full(session.size, _NONE, np.int16)
        detail = np.full(session.size, _NONE, np.int32)
        page[first] = visits.landing

        # looks: the row of each one's first event, then its list, click, product's page and cart
        row = (first + 1 - before[bounds[:-1]])[looks.session] + before[:-1]
        lists = row[looks.listed]
        searched = looks.query >= 0
        list_page = np.where(searched, _SEARCH_PAGE, FIRST_CATEGORY_PAGE + looks.category)
        page[lists] = list_page[looks.listed]
        searches = row[searched]
        kind[searches] = SEARCH
        query[searches] = looks.query[searched]
        detail[searches] = looks.query[searched]
        clicks = row + looks.listed
        kind[clicks] = CLICK
        page[clicks] = np.where(looks.listed, list_page, visits.landing[looks.session])
        detail[clicks] = len(_ALL_QUERIES) + looks.position
        page[clicks + 1] = len(_PAGES) + np.arange(row.size)
        product[clicks] = product[clicks + 1] = looks.product
        added = np.flatnonzero(looks.quantity)
        adds = clicks[added] + 2
        kind[adds] = ADD_TO_CART
        page[adds] = len(_PAGES) + added
        product[adds] = looks.product[added]
        detail[adds] = len(_ALL_QUERIES) + _ON_A_PAGE + looks.quantity[added] - 1

        # how sessions end
        cart = first + 1 + of_looks
        page[cart[visits.depth >= CART]] = _CART_PAGE
        checkout = cart[visits.depth >= ABANDONED] + 1
        kind[checkout], page[checkout] = CHECKOUT, _CHECKOUT_PAGE
        bought = visits.depth == PURCHASE
        bought_at, order = cart[bought] + 2, visits.order[bought]
        kind[bought_at] = BUY
        page[bought_at] = len(_PAGES) + row.size + order
        order_id[bought_at] = placed.order_id[order]

        when = self._times(visits, placed, events, session)
        columns = [
            pa.array(visits.session_id[session]),
            pa.array((place + 1).astype(np.int16)),
            word_column(EVENT_TYPES, kind),
            timestamp_column(when * MICROSECONDS),
            _pages(looks, placed).take(pa.array(page)),
            pa.array(product, mask=product == 0),
            pa.array(order_id, mask=order_id == 0),
            pa.array(_ALL_QUERIES).take(pa.array(query, mask=query == _NONE)),
            self._details(looks).take(pa.array(detail, mask=detail == _NONE)),
        ]
        return pa.Table.from_arrays(columns, schema=BRONZE_TABLES["raw_clickstream"].arrow_schema)

    def _draw(self, what: str, entity: I64) -> U64:
        return mix(stream_key(self._seed, what), entity)

    def _looks(self, day: int, visits: Visits, placed: Placed) -> Looks:
        draw = self._draw("web looks", visits.session_id)
        around = _LOOKS[visits.depth, (draw >> np.uint64(48)).astype(np.intp)].astype(np.int64)
        lines = np.bincount(placed.line_of, minlength=len(placed))
        first_line = np.cumsum(lines) - lines
        buys = np.flatnonzero(visits.order >= 0)
        looks = around.copy()
        looks[buys] += lines[visits.order[buys]]
        session = np.repeat(np.arange(looks.size), looks)
        nth = np.arange(session.size) - (np.cumsum(looks) - looks)[session]
        depth = visits.depth[session]

        draw = self._draw("web look", visits.session_id[session] * _LOOKS_BELOW + nth)
        # people look around first; what they look at last, they buy
        bought = np.flatnonzero(nth >= around[session])
        line = first_line[visits.order[session[bought]]] + (nth - around[session])[bought]
        product = self._products.choose(day, remix(draw, 1))
        product[bought] = placed.product[line]
        last = nth == looks[session] - 1
        fills = (depth == CART) | (depth == ABANDONED)
        adds = fills & (last | (top(draw) < _ADDS))
        quantity = np.where(adds, 1 + pick(_QUANTITIES, remix(draw, 2)), 0).astype(np.int64)
        quantity[bought] = placed.quantity[line]

        category = self._products.category(product)
        other = remix(draw, 3)
        searched = top(other) < _SEARCHES
        query = _QUERY_FIRST[category] + below(remix(other, 1), _QUERY_COUNT[category])
        # the landing page is a list itself; a category's shows that category only
        landing = visits.landing[session]
        shows = (landing < FIRST_CATEGORY_PAGE) | (landing == FIRST_CATEGORY_PAGE + category)
        from_landing = (nth == 0) & shows & ~searched
        higher = remix(other, 2)
        position = np.minimum(below(higher, _ON_A_PAGE), below(remix(higher, 1), _ON_A_PAGE))
        return Looks(
            session=session,
            product=product,
            category=category,
            listed=~from_landing,
            query=np.where(searched, query, _NONE),
            position=position,
            quantity=quantity,
        )

    def _times(self, visits: Visits, placed: Placed, events: I64, session: I64) -> I64:
        """The events' times in seconds since 1970: spread evenly, each a little late. No two of a
        session are equal, as it has more seconds than events."""
        seconds, slots = visits.ended_at - visits.started_at, events.copy()
        # the order is the last event, and has its time
        buys = np.flatnonzero(visits.order >= 0)
        seconds[buys] = (placed.ordered_at - placed.session_started_at)[visits.order[buys]]
        slots[buys] -= 1
        first = np.cumsum(events) - events
        place = np.arange(session.size) - first[session]
        draw = self._draw("web event", visits.session_id[session] * _EVENTS_BELOW + place)
        late = below(draw, (seconds // slots)[session])
        late[first] = 0
        when = visits.started_at[session] + place * seconds[session] // slots[session] + late
        when[first[buys] + slots[buys]] = placed.ordered_at[visits.order[buys]]
        return when

    def _details(self, looks: Looks) -> pa.Array:
        """What ``raw_data`` may hold: results of each query, positions, quantities."""
        most = int(looks.quantity.max(initial=1))
        return pa.array(
            [
                *(f'{{"results": {found}}}' for found in self._found.tolist()),
                *(f'{{"position": {n}}}' for n in range(1, _ON_A_PAGE + 1)),
                *(f'{{"quantity": {n}}}' for n in range(1, most + 1)),
            ]
        )


def _pages(looks: Looks, placed: Placed) -> pa.Array:
    """Every page of the day: the same ones, each look's product's, each order's thanks."""
    products = pc.binary_join_element_wise(
        "/products/", pa.array(looks.product).cast(pa.string()), ""
    )
    orders = pc.binary_join_element_wise(
        "/orders/", pa.array(placed.order_id).cast(pa.string()), "/thanks", ""
    )
    return pa.concat_arrays([pa.array(_PAGES), products, orders])
