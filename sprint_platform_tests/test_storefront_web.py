"""Web sessions and their clickstream, checked row by row in plain Python.

Orders, customers and products are read from their own tables; of how sessions are made, nothing is
used here.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.clickstream import Clickstream
from sprint_platform.storefront.generation.customers import Customers
from sprint_platform.storefront.generation.orders import Orders
from sprint_platform.storefront.generation.players import LinkedPlayers
from sprint_platform.storefront.generation.product_words import CATEGORIES
from sprint_platform.storefront.generation.products import Products
from sprint_platform.storefront.generation.sessions import Sessions
from sprint_platform.storefront.settings import PRESETS, StoreSettings
from sprint_platform.title import Title

Row = dict[str, Any]

DOCUMENTATION = [
    ip_network(block)
    for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
# operating system -> browsers that there are for it, by device
BROWSERS = {
    ("desktop", "Windows"): {"Chrome", "Edge", "Firefox", "Opera"},
    ("desktop", "macOS"): {"Chrome", "Safari", "Firefox"},
    ("desktop", "Linux"): {"Chrome", "Firefox"},
    ("desktop", "ChromeOS"): {"Chrome"},
    ("mobile", "Android"): {"Chrome", "Firefox", "Samsung Internet"},
    ("mobile", "iOS"): {"Chrome", "Safari"},
    ("tablet", "Android"): {"Chrome", "Samsung Internet"},
    ("tablet", "iPadOS"): {"Chrome", "Safari"},
}
LANGUAGES = {"en-US", "pt-BR", "es-MX", "fr-FR", "es-ES", "de-DE"}
# hours from UTC in winter, where most people live
OFFSETS = {"US": -5, "BR": -3, "MX": -6, "FR": 1, "ES": 1, "DE": 1}
CAMPAIGN_CHANNELS = {"email", "social", "affiliate"}
CATEGORY_PAGES = {
    "/categories/apparel": "Apparel",
    "/categories/accessories": "Accessories",
    "/categories/books-art": "Books & Art",
    "/categories/collectibles": "Collectibles",
    "/categories/games": "Games",
    "/categories/hardware": "Hardware",
    "/categories/home-living": "Home & Living",
    "/categories/toys-puzzles": "Toys & Puzzles",
}
LISTS = {"/", "/new", "/sale"}


@dataclass(frozen=True)
class Web:
    """What makes a store's web tables, and what they are about."""

    settings: StoreSettings
    calendar: Calendar
    customers: Customers
    products: Products
    orders: Orders
    sessions: Sessions
    clickstream: Clickstream


def web(settings: StoreSettings, players: LinkedPlayers | None = None) -> Web:
    calendar = Calendar(settings)
    customers = Customers(settings, calendar, players)
    products = Products(settings, calendar)
    orders = Orders(settings, calendar, customers, products)
    sessions = Sessions(settings, calendar, customers, orders)
    clickstream = Clickstream(settings, products, orders, sessions)
    return Web(settings, calendar, customers, products, orders, sessions, clickstream)


def store_settings(**settings: Any) -> StoreSettings:
    return StoreSettings(**{"customers": 60, "products": 40, "orders": 80, "days": 8} | settings)


@dataclass
class Known:
    """What the store's other tables hold up to a day."""

    registered_at: dict[int, datetime]
    categories: dict[int, str]
    orders: dict[int, Row]


def known_by(store: Web, known: Known, day: int) -> None:
    """Adds the day's customers, products and orders."""
    for row in store.customers.table(day).select(["customer_id", "registered_at"]).to_pylist():
        known.registered_at[row["customer_id"]] = row["registered_at"]
    for row in store.products.table(day).select(["product_id", "category"]).to_pylist():
        known.categories[row["product_id"]] = row["category"]
    placed = (row for row in store.orders.table(day).to_pylist() if row["status"] == "placed")
    known.orders = {row["order_id"]: row for row in placed}


def check_store(store: Web, days: int) -> tuple[list[Row], list[Row]]:
    """Checks every day from the opening; returns all sessions and all events."""
    known = Known({}, {}, {})
    all_sessions: list[Row] = []
    all_events: list[Row] = []
    for day in range(days):
        known_by(store, known, day)
        sessions = store.sessions.table(day).to_pylist()
        events = store.clickstream.table(day).to_pylist()
        first = len(all_sessions) + 1
        assert [row["session_id"] for row in sessions] == [
            *range(first, store.calendar.sessions_by(day) + 1)
        ]
        when = store.calendar.date(day)
        for row in sessions:
            check_session(row, when, known)
        check_day(when, sessions, events, known)
        all_sessions += sessions
        all_events += events
    return all_sessions, all_events


def check_session(row: Row, when: date, known: Known) -> None:
    begin, end = row["started_at"], row["ended_at"]
    assert begin.date() == end.date() == when
    assert begin.hour < 23
    assert timedelta(seconds=5) <= end - begin < timedelta(hours=1)
    if row["customer_id"] is not None:
        assert known.registered_at[row["customer_id"]] <= begin
    assert row["browser"] in BROWSERS[row["device"], row["operating_system"]]
    assert any(ip_address(row["ip_address"]) in block for block in DOCUMENTATION)
    # one spelling for each address
    assert row["ip_address"] == str(ip_address(row["ip_address"]))
    assert row["country"] in OFFSETS
    assert row["city"]
    assert row["channel"] in {"direct", "search", "in_game"} | CAMPAIGN_CHANNELS
    assert row["landing_page"] in LISTS | set(CATEGORY_PAGES)
    details = json.loads(row["raw_data"])
    campaign = {"campaign"} if row["channel"] in CAMPAIGN_CHANNELS else set()
    assert set(details) == {"screen", "language"} | campaign
    assert details["language"] in LANGUAGES
    assert all(int(side) > 300 for side in details["screen"].split("x"))


def check_day(when: date, sessions: list[Row], events: list[Row], known: Known) -> None:
    by_session: dict[int, list[Row]] = defaultdict(list)
    for row in events:
        by_session[row["session_id"]].append(row)
    # session by session, and none without events
    assert list(by_session) == [row["session_id"] for row in sessions]
    assert [row["session_id"] for row in events] == sorted(row["session_id"] for row in events)
    bought = []
    for session in sessions:
        mine = by_session[session["session_id"]]
        check_times(session, mine, when)
        bought += check_story(session, mine, known)
    assert sorted(bought) == sorted(known.orders)


def check_times(session: Row, events: list[Row], when: date) -> None:
    assert [row["sequence_number"] for row in events] == [*range(1, len(events) + 1)]
    times = [row["occurred_at"] for row in events]
    assert times[0] == session["started_at"]
    assert times[-1] <= session["ended_at"]
    assert all(one < other for one, other in pairwise(times))
    assert {time.date() for time in times} == {when}


def check_story(session: Row, events: list[Row], known: Known) -> list[int]:
    """Follows a visitor from page to page; returns the order, if any."""
    page = found = query = product = None
    cart: list[tuple[int, int]] = []
    orders: list[int] = []
    kinds = [row["event_type"] for row in events]
    for row in events:
        kind, url = row["event_type"], row["page_url"]
        details = json.loads(row["raw_data"] or "{}")
        assert (row["search_query"] is not None) == (kind == "search")
        assert (row["order_id"] is not None) == (kind == "purchase")
        assert not orders, "nothing follows a purchase"
        if kind == "search":
            assert url == "/search"
            page, query, product, found = url, row["search_query"], None, details.pop("results")
        elif kind == "click":
            assert url == page
            product = row["product_id"]
            position = details.pop("position")
            category = known.categories[product]
            assert position >= 1
            if page == "/search":
                assert position <= found
                assert query in words_of(category)
            else:
                assert page in LISTS or CATEGORY_PAGES[page] == category
            page = f"clicked {product}"
        elif url.startswith("/products/"):
            assert row["product_id"] == product
            assert url == f"/products/{product}"
            if kind == "page_view":
                assert page == f"clicked {product}"
            else:
                assert kind == "add_to_cart"
                assert page == url
                cart.append((product, details.pop("quantity")))
            page = url
        elif kind == "page_view":
            assert url in LISTS | {"/cart"} | set(CATEGORY_PAGES)
            assert url not in LISTS or row is events[0]
            assert url != "/cart" or cart
            page, product = url, None
        elif kind == "checkout":
            assert page == "/cart"
            page, product = "/checkout", None
            assert url == page
        else:
            assert kind == "purchase"
            assert page == "/checkout"
            orders.append(row["order_id"])
            check_purchase(session, row, cart, known.orders[row["order_id"]])
        assert (row["product_id"] is not None) == (product is not None)
        assert not details, f"{kind} carries {details}"
    assert kinds[0] == "page_view"
    assert events[0]["page_url"] == session["landing_page"]
    assert not cart or "/cart" in [row["page_url"] for row in events]
    return orders


def check_purchase(session: Row, row: Row, cart: list[tuple[int, int]], order: Row) -> None:
    assert row["page_url"] == f"/orders/{order['order_id']}/thanks"
    assert row["occurred_at"] == order["ordered_at"]
    assert session["session_id"] == order["session_id"]
    assert session["customer_id"] == order["customer_id"]
    lines = [(line["product_id"], line["quantity"]) for line in json.loads(order["items"])]
    assert sorted(cart) == sorted(lines)
    stays = session["ended_at"] - order["ordered_at"]
    assert timedelta(seconds=10) <= stays <= timedelta(seconds=300)


def words_of(category: str) -> set[str]:
    shelves = CATEGORIES[category].subcategories
    return {category.lower()} | {shelf.name.lower() for shelf in shelves}


# -- the rules --------------------------------------------------------------------------------


@given(
    customers=st.integers(1, 300),
    products=st.integers(1, 200),
    orders=st.integers(1, 150),
    days=st.integers(1, 10),
    seed=st.integers(0, 2**63 - 1),
    start=st.dates(date(2001, 1, 1), date(2040, 1, 1)),
)
@example(1, 1, 1, 1, 42, date(2025, 1, 1))  # one of each
@example(1, 1, 200, 2, 42, date(2024, 2, 28))  # sessions of one customer and one product
@example(300, 200, 3, 10, 7, date(2025, 12, 26))  # days without an order, and a year's end
@example(20, 6, 900, 3, 3, date(2025, 11, 23))  # a sale begins
@hypothesis_settings(max_examples=15)
def test_any_store_keeps_every_rule(
    customers: int, products: int, orders: int, days: int, seed: int, start: date
) -> None:
    store = web(
        store_settings(
            customers=customers,
            products=products,
            orders=orders,
            days=days,
            seed=seed,
            start=start,
        )
    )
    # the store goes on after its first days
    sessions, events = check_store(store, days + 2)
    assert len(events) >= len(sessions) >= days + 2


Checked = tuple[list[Row], list[Row]]


@pytest.fixture(scope="module")
def small() -> Web:
    """The small preset, with players of a title among its customers."""
    settings = store_settings(**PRESETS["small"])
    return web(settings, LinkedPlayers(Title.load(settings.title), settings.seed))


@pytest.fixture(scope="module")
def checked(small: Web) -> Checked:
    """All rows of the small preset, 30 days, which keep every rule."""
    return check_store(small, 30)


def share(rows: Sequence[Row], column: str, value: Any) -> float:
    return sum(row[column] == value for row in rows) / len(rows)


def test_three_in_five_sessions_are_logged_in(checked: Checked) -> None:
    sessions, _ = checked
    assert len(sessions) == pytest.approx(7300, abs=31)
    assert 1 - share(sessions, "customer_id", None) == pytest.approx(0.6, abs=0.02)


def test_sessions_end_at_every_depth(checked: Checked) -> None:
    sessions, events = checked
    assert 5.5 < len(events) / len(sessions) < 6.7
    ends: dict[int, set[str]] = defaultdict(set)
    counts: Counter[int] = Counter()
    for row in events:
        ends[row["session_id"]].add(row["event_type"])
        counts[row["session_id"]] += 1
    reached: Counter[str] = Counter()
    for session, kinds in ends.items():
        for kind in ("purchase", "checkout", "add_to_cart", "click", "page_view"):
            if kind in kinds:
                # without a click a session is a bounce: one page
                assert kind != "page_view" or counts[session] == 1
                reached[kind] += 1
                break
    browsing = len(sessions) - reached.pop("purchase")
    shares = {kind: count / browsing for kind, count in reached.items()}
    assert shares == pytest.approx(
        {"page_view": 0.35, "click": 0.40, "add_to_cart": 0.17, "checkout": 0.08}, abs=0.02
    )


def test_visitors_are_like_those_of_a_games_store(checked: Checked) -> None:
    sessions, _ = checked
    assert share(sessions, "device", "mobile") == pytest.approx(0.58, abs=0.03)
    strangers = [row for row in sessions if row["customer_id"] is None]
    customers = [row for row in sessions if row["customer_id"] is not None]
    assert 0.005 < share(strangers, "channel", "in_game") < 0.04
    assert 0.07 < share(customers, "channel", "in_game") < 0.15
    assert 0.2 < sum(":" in row["ip_address"] for row in sessions) / len(sessions) < 0.4
    for column, values in (("country", 6), ("city", 60), ("browser", 6), ("landing_page", 10)):
        assert len({row[column] for row in sessions}) >= values


def test_visits_come_in_the_evening_of_their_country(checked: Checked) -> None:
    sessions, _ = checked
    for country, offset in OFFSETS.items():
        hours = Counter(
            (row["started_at"].hour + offset) % 24 for row in sessions if row["country"] == country
        )
        evening = sum(hours[hour] for hour in range(17, 22)) / 5
        night = sum(hours[hour] for hour in range(1, 6)) / 5
        assert evening > 3 * night
    # nothing piles up where the day ends
    by_hour = Counter(row["started_at"].hour for row in sessions)
    assert max(by_hour.values()) < 0.1 * len(sessions)


def test_customers_are_at_home_and_keep_their_browsers(small: Web, checked: Checked) -> None:
    sessions, _ = checked
    home: dict[int, str] = {}
    for day in range(30):
        table = small.customers.table(day).select(["customer_id", "country"])
        home |= {row["customer_id"]: row["country"] for row in table.to_pylist()}
    customers = [row for row in sessions if row["customer_id"] is not None]
    at_home = [row for row in customers if row["country"] == home[row["customer_id"]]]
    assert len(at_home) / len(customers) == pytest.approx(0.97, abs=0.01)
    places, browsers = defaultdict(set), defaultdict(set)
    for row in at_home:
        places[row["customer_id"]].add((row["city"], row["ip_address"]))
    for row in customers:
        browsers[row["customer_id"], row["device"]].add(
            (row["browser"], row["operating_system"], json.loads(row["raw_data"])["screen"])
        )
    assert {len(seen) for seen in places.values()} == {1}
    assert {len(seen) for seen in browsers.values()} == {1}


def test_a_search_finds_the_same_each_time(checked: Checked) -> None:
    found = results(checked[1])
    assert set(found) == {query for category in CATEGORIES for query in words_of(category)}
    assert {len(counts) for counts in found.values()} == {1}
    assert len({max(counts) for counts in found.values()}) > len(found) / 2


def test_a_sale_has_its_page_while_it_runs() -> None:
    # the sale of late November begins on the second day
    store = web(store_settings(orders=600, days=3, start=date(2025, 11, 23)))
    pages = [set(store.sessions.table(day)["landing_page"].to_pylist()) for day in range(2)]
    assert ["/sale" in seen for seen in pages] == [False, True]


# -- the same rows ----------------------------------------------------------------------------


def day_tables(store: Web, day: int) -> list[pa.Table]:
    return [store.sessions.table(day), store.clickstream.table(day)]


def test_tables_have_the_contracts_columns() -> None:
    store = web(store_settings())
    for name, table in zip(("raw_sessions", "raw_clickstream"), day_tables(store, 3), strict=True):
        assert table.schema == BRONZE_TABLES[name].arrow_schema
        table.validate(full=True)
        for field in table.schema:
            assert field.nullable or table[field.name].null_count == 0


@given(seed=st.integers(0, 2**63 - 1), orders=st.integers(1, 200))
@hypothesis_settings(max_examples=5)
def test_a_day_is_the_same_alone_and_in_any_order(seed: int, orders: int) -> None:
    settings = store_settings(seed=seed, orders=orders)
    forward, backward = web(settings), web(settings)
    tables = {day: day_tables(forward, day) for day in range(10)}
    for day in reversed(range(10)):
        # the events before the sessions, too
        events = backward.clickstream.table(day)
        assert [backward.sessions.table(day), events] == tables[day]
    for day in (0, 5, 9):
        assert day_tables(web(settings), day) == tables[day]


def test_another_seed_is_of_other_visitors() -> None:
    stores = [web(store_settings(seed=seed, orders=800)) for seed in (42, 43)]
    mine, theirs = (store.sessions.table(2) for store in stores)
    assert mine["session_id"] == theirs["session_id"]
    for column in set(mine.column_names) - {"session_id"}:
        pairs = zip(mine[column].to_pylist(), theirs[column].to_pylist(), strict=True)
        equal = [one == other for one, other in pairs if one is not None]
        # of three devices every second is the same by chance
        rare = column in ("customer_id", "started_at", "ended_at", "ip_address")
        assert sum(equal) < (0.1 if rare else 0.6) * len(equal), column
    one, other = (results(store.clickstream.table(2).to_pylist()) for store in stores)
    same = [query for query in one if one[query] == other.get(query)]
    assert len(same) < 0.2 * len(one)


def results(events: Sequence[Row]) -> dict[str, set[int]]:
    """How many products each query finds."""
    found: dict[str, set[int]] = defaultdict(set)
    for row in events:
        if row["event_type"] == "search":
            found[row["search_query"]].add(json.loads(row["raw_data"])["results"])
    return found
