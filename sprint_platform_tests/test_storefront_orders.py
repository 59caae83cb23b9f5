"""The store's calendar, its customers, and its orders: who buys what, and what becomes of it."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from importlib import import_module
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sprint_platform.draws import mix, stream_key
from sprint_platform.profiles import COUNTRY
from sprint_platform.simulation.world import World
from sprint_platform.storefront.contracts import BRONZE_TABLES, GENDERS, PAYMENT_METHODS
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.customers import Customers
from sprint_platform.storefront.generation.hours import LAST_START, visit_second
from sprint_platform.storefront.generation.orders import (
    DELIVERED_WITHIN,
    NEVER,
    SETTLED_WITHIN,
    SHIPPED_WITHIN,
    Orders,
)
from sprint_platform.storefront.generation.players import LONGEST_LAG, LinkedPlayers
from sprint_platform.storefront.generation.products import Products
from sprint_platform.storefront.settings import PRESETS, StoreSettings
from sprint_platform.title import COUNTRIES, Title
from sprint_platform_tests.worlds import title_like

Row = dict[str, Any]
OPENING = date(2025, 1, 1)


class Shop:
    """A store's calendar, customers, products and orders, made anew."""

    def __init__(self, settings: StoreSettings, title: Title | None = None) -> None:
        self.settings = settings
        self.calendar = Calendar(settings)
        players = LinkedPlayers(title, settings.seed) if title else None
        self.customers = Customers(settings, self.calendar, players)
        self.products = Products(settings, self.calendar)
        self.orders = Orders(settings, self.calendar, self.customers, self.products)


def small(**settings: Any) -> StoreSettings:
    return StoreSettings(**{**PRESETS["small"], "title": "", **settings})


def assert_share(count: int, of: int, share: float) -> None:
    """Asserts that a share is what it should be, within four standard errors."""
    error = math.sqrt(share * (1 - share) / of)
    assert count / of == pytest.approx(share, abs=4 * error)


# -- calendar ---------------------------------------------------------------------------------

ANY_STORE = st.builds(
    small,
    customers=st.integers(1, 3000),
    products=st.integers(1, 3000),
    orders=st.integers(1, 3000),
    days=st.integers(1, 400),
    start=st.dates(date(2019, 1, 1), date(2031, 1, 1)),
)
FEW = small(customers=1, products=1, orders=1)


@given(settings=ANY_STORE)
@example(settings=FEW.model_copy(update={"days": 1}))
@example(settings=FEW)
@example(settings=small(days=1))
@example(settings=small(days=2))
@example(settings=small(**PRESETS["large"]))
def test_a_store_reaches_its_numbers_on_its_last_day(settings: StoreSettings) -> None:
    calendar = Calendar(settings)
    last = settings.days - 1
    assert calendar.customers_by(last) == settings.customers
    assert calendar.products_by(last) == settings.products
    assert calendar.orders_by(last) == settings.orders
    counts = (
        calendar.customers_by,
        calendar.products_by,
        calendar.orders_by,
        calendar.sessions_by,
    )
    assert [count(-1) for count in counts] == [count(-40) for count in counts] == [0, 0, 0, 0]
    assert calendar.customers_by(0) >= 1
    assert calendar.products_by(0) >= 1
    for day in range(settings.days + 40):
        grown = [count(day) - count(day - 1) for count in counts]
        assert min(grown) >= 0
        # every order is of a session of its own
        assert grown[3] >= grown[2]


def test_the_numbers_are_on_no_earlier_day() -> None:
    calendar = Calendar(small(**PRESETS["medium"]))
    before = [
        count(363) for count in (calendar.customers_by, calendar.products_by, calendar.orders_by)
    ]
    assert all(0.99 * n < m < n for m, n in zip(before, (10_000, 5_000, 50_000), strict=True))
    assert calendar.customers_by(0) == 2_000
    assert calendar.products_by(0) == 4_000
    assert calendar.sessions_by(364) == 365_000 + 365


@given(settings=ANY_STORE, far=st.integers(0, 900))
@hypothesis_settings(max_examples=10)
def test_a_day_has_the_same_numbers_whatever_was_asked_before(
    settings: StoreSettings, far: int
) -> None:
    asked = Calendar(settings)
    asked.orders_by(far)
    for day in (0, 3, settings.days - 1, settings.days + 5):
        fresh = Calendar(settings)
        for name in ("customers_by", "products_by", "orders_by", "sessions_by"):
            assert getattr(asked, name)(day) == getattr(fresh, name)(day)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_later_days_go_on_at_the_same_pace(preset: str) -> None:
    settings = small(**PRESETS[preset])
    calendar = Calendar(settings)
    days = settings.days
    # the weeks around the last day; of the year's end the sale is over, and a month makes 1.4
    for count, share in ((calendar.customers_by, 0.4), (calendar.orders_by, 0.4)):
        before = count(days - 1) - count(days - 29)
        after = count(days + 27) - count(days - 1)
        assert share * before < after < 1.4 * before
    ends = [calendar.orders_by(days + 365 * years) for years in range(4)]
    years = [later - earlier for earlier, later in pairwise(ends)]
    assert max(years) - min(years) < 0.01 * min(years)
    if preset != "small":  # 30 days of a January
        assert calendar.products_by(days + 364) > 1.05 * settings.products


def test_a_store_of_one_day_goes_on_as_on_that_day() -> None:
    # the first day is a Wednesday, of weight 101; nothing says how many customers would follow
    calendar = Calendar(small(orders=10_100, days=1))
    week = [calendar.orders_by(day) - calendar.orders_by(day - 1) for day in range(7)]
    assert week == [10_100, 9_900, 9_600, 9_000, 10_200, 10_800, 10_400]
    assert calendar.customers_by(400) == calendar.customers_by(0) == 1_000


def daily_orders(settings: StoreSettings) -> dict[date, int]:
    calendar = Calendar(settings)
    return {
        calendar.date(day): calendar.orders_by(day) - calendar.orders_by(day - 1)
        for day in range(settings.days)
    }


def test_sales_weekdays_and_months_show_in_the_orders() -> None:
    orders = daily_orders(small(orders=50_000_000, days=730))
    for sale, weight in (
        (date(2025, 3, 20), 1.5),
        (date(2025, 3, 26), 1.5),
        (date(2025, 11, 28), 2.6),
        (date(2026, 11, 30), 2.6),
        (date(2025, 12, 22), 1.4),
    ):
        before = sale - timedelta(days=7)
        while orders[before] > 1.2 * orders[before - timedelta(days=7)]:
            before -= timedelta(days=7)
        if before.month == sale.month:
            assert orders[sale] / orders[before] == pytest.approx(weight, rel=0.02)
        assert orders[sale] > 1.3 * orders[before]
    # a week of February, which has no sale: most on Monday, least on Saturday
    week = [orders[date(2026, 2, 2) + timedelta(days=n)] for n in range(7)]
    assert week[0] == max(week)
    assert week[5] == min(week)
    assert week[0] / week[5] == pytest.approx(1.2, rel=0.01)
    # the same days of the week, in a strong month and in a weak one
    assert orders[date(2026, 12, 14)] > 1.4 * orders[date(2026, 2, 16)]
    # a store with more customers sells more
    assert orders[date(2026, 10, 5)] > 1.2 * orders[date(2025, 10, 6)]


def test_sales_begin_and_end_on_their_days() -> None:
    calendar = Calendar(small())
    percent = {calendar.date(day).isoformat()[5:]: calendar.sale_percent(day) for day in range(365)}
    found: dict[int, list[str]] = defaultdict(list)
    for day, off in percent.items():
        found[off].append(day)
    assert set(found) == {0, 15, 20, 30}
    assert (found[30][0], found[30][-1], len(found[30])) == ("11-24", "11-30", 7)
    assert (found[20][0], found[20][-1], len(found[20])) == ("06-26", "07-09", 14)
    assert (found[15][0], found[15][6], found[15][7], found[15][-1], len(found[15])) == (
        *("03-20", "03-26", "12-22", "12-31"),
        17,
    )
    # the same dates in another year, however the days are counted
    later = Calendar(small(start=date(2027, 11, 20)))
    assert [later.sale_percent(day) for day in range(3, 12)] == [0, *[30] * 7, 0]
    assert later.date(4) == date(2027, 11, 24)
    assert later.day(date(2027, 11, 24)) == 4
    assert later.day(date(2027, 11, 19)) == -1


# -- customers --------------------------------------------------------------------------------

# 600 players sign up on a day, and 65 customers register: enough of each country
CROWDED = title_like("leap", simulation__growth={"kind": "target", "players": 12_000, "days": 20})
CROWD = small(customers=2_000, products=20, orders=20, days=25)


@dataclass
class Registered:
    """A store's customers, and the players of its title by id."""

    customers: list[Row]
    players: dict[Any, Row]

    @property
    def linked(self) -> list[Row]:
        return [row for row in self.customers if row["player_id"] is not None]


def registered(settings: StoreSettings, title: Title | None, days: int) -> Registered:
    """All customers of the first days; each is checked to be in its partition."""
    shop = Shop(settings, title)
    customers: list[Row] = []
    for day in range(days):
        rows = shop.customers.table(day).to_pylist()
        for row in rows:
            assert row["registered_at"].date() == shop.calendar.date(day)
        customers += rows
        assert len(customers) == shop.calendar.customers_by(day)
    players: dict[Any, Row] = {}
    if title:
        world = World(title)
        for day in range(-10, days):
            when = settings.start + timedelta(days=day)
            if when >= title.launch_date:
                for part in world.dim_players(when):
                    players |= {row["player_id"]: row for row in part.to_pylist()}
    return Registered(customers, players)


@pytest.fixture(scope="module")
def crowded() -> Registered:
    return registered(CROWD, CROWDED, CROWD.days)


def test_customers_are_numbered_as_they_come(crowded: Registered) -> None:
    assert [row["customer_id"] for row in crowded.customers] == list(range(1, 2_001))
    # a visit may follow on the same day
    times = [row["registered_at"].time() for row in crowded.customers]
    assert max(times) <= time(22, 0, 1)
    hours = Counter(at.hour for at in times)
    assert set(hours) == set(range(22))


def plain(name: str) -> str:
    """Lower-case ASCII letters of a name, by what Unicode calls each letter."""
    letters = ""
    for letter in name.lower().replace("ß", "ss"):
        words = unicodedata.name(letter).split()
        if words[:3] == ["LATIN", "SMALL", "LETTER"] and len(words[3]) == 1:
            letters += words[3].lower()
    return letters


def test_mail_reaches_nobody_and_is_everybodys_own(crowded: Registered) -> None:
    mails = [row["email"] for row in crowded.customers]
    assert len(set(mails)) == len(mails)
    domains = set()
    for row in crowded.customers:
        parts = re.fullmatch(r"([a-z]+)\.([a-z]+)(\d+)@example\.(com|net|org)", row["email"])
        assert parts, row["email"]
        assert parts[1] == plain(row["first_name"])
        assert parts[2] == plain(row["last_name"])
        assert int(parts[3]) == row["customer_id"]
        domains.add(parts[4])
    assert domains == {"com", "net", "org"}


def test_people_are_called_as_in_their_country(crowded: Registered) -> None:
    names = {}
    for code in COUNTRIES:
        faker = import_module(f"faker.providers.person.{COUNTRY[code].faker_locale}").Provider
        names[code] = (set(faker.first_names), set(faker.last_names))
    for row in crowded.customers:
        first, last = names[row["country"]]
        if row["player_id"] is None:
            assert row["first_name"] in first
            assert row["last_name"] in last
        else:
            # of a player the full name is known: the first word of it is taken for the given name
            full = f"{row['first_name']} {row['last_name']}"
            assert full == crowded.players[row["player_id"]]["display_name"]
        details = json.loads(row["raw_data"])
        assert set(details) == {"locale", "newsletter", "signup_channel"}
        assert details["locale"] == COUNTRY[row["country"]].language
        assert json.loads(row["address"])["country"] == row["country"]


def age(born: date, at: datetime) -> int:
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))


def test_nobody_is_too_young_for_an_account(crowded: Registered) -> None:
    ages = Counter(
        (row["player_id"] is None, age(row["birth_date"], row["registered_at"]))
        for row in crowded.customers
    )
    # players are 13 and older, whoever comes from elsewhere is 16 and older
    assert min(years for stranger, years in ages if not stranger) == 13
    assert min(years for stranger, years in ages if stranger) == 16
    assert max(years for _, years in ages) <= 71
    young = sum(count for (_, years), count in ages.items() if years < 40)
    assert young > 0.5 * len(crowded.customers)
    for row in crowded.linked:
        assert row["birth_date"].year == crowded.players[row["player_id"]]["birth_year"]


@pytest.mark.parametrize("start", [OPENING, date(2025, 1, 6), date(2025, 12, 28)])
def test_young_players_have_had_their_birthday(start: date) -> None:
    # of many that may be 13 on no day but this one
    people = registered(CROWD.model_copy(update={"start": start, "days": 3}), CROWDED, 3)
    ages = [age(row["birth_date"], row["registered_at"]) for row in people.linked]
    assert len(ages) > 200
    assert min(ages) >= 13


def check_links(people: Registered) -> None:
    ids = [row["player_id"] for row in people.linked]
    assert len(set(ids)) == len(ids), "a player is linked twice"
    for row in people.linked:
        player = people.players[row["player_id"]]
        assert player["country"] == row["country"]
        waited = row["registered_at"] - player["signed_up_at"]
        assert timedelta(minutes=5) <= waited
        assert (row["registered_at"].date() - player["signed_up_at"].date()).days <= LONGEST_LAG


def test_a_third_of_the_customers_are_players(crowded: Registered) -> None:
    check_links(crowded)
    assert_share(len(crowded.linked), len(crowded.customers), 0.35)
    # on every day, and in every country
    for part in (
        [row for row in crowded.customers if row["registered_at"].date() == OPENING],
        [row for row in crowded.customers if row["registered_at"].date() > date(2025, 1, 12)],
        *([r for r in crowded.customers if r["country"] == code] for code in COUNTRIES),
    ):
        assert_share(sum(row["player_id"] is not None for row in part), len(part), 0.35)
    # most on the day on which they sign up, some after days: nobody comes first
    late = [row for row in crowded.linked if row["registered_at"].date() > date(2025, 1, 12)]
    waited = Counter(
        (row["registered_at"].date() - player["signed_up_at"].date()).days
        for row, player in ((row, crowded.players[row["player_id"]]) for row in late)
    )
    assert set(waited) == set(range(LONGEST_LAG + 1))
    assert waited.most_common(1)[0][0] == 0
    assert waited[0] < 0.5 * waited.total()


@pytest.mark.parametrize("seed", [1, 42])
def test_where_players_are_few_nobody_is_linked_twice(seed: int, sprint: World) -> None:
    settings = small(customers=20_000, products=20, orders=20, days=20, seed=seed)
    people = registered(settings, sprint.title, 12)
    check_links(people)
    # of those who sign up, most have an account: some of them too late on their last day, and some
    # find no customer left in their country, as friends are of one
    early = {
        id_ for id_, row in people.players.items() if row["signed_up_at"].date() <= date(2025, 1, 3)
    }
    linked = {row["player_id"] for row in people.linked}
    assert len(early & linked) > 0.75 * len(early)


def test_a_store_of_no_title_or_of_one_that_is_not_out_yet_has_no_players() -> None:
    for settings, title in (
        (CROWD, None),
        (CROWD.model_copy(update={"start": date(2024, 12, 1)}), CROWDED),
    ):
        people = registered(settings, title, 5)
        assert len(people.customers) > 400
        assert people.linked == []
    # and from its launch on it has some
    late = registered(CROWD.model_copy(update={"start": date(2024, 12, 28)}), CROWDED, 6)
    assert {row["registered_at"].date() for row in late.linked} == {OPENING, date(2025, 1, 2)}


def test_who_the_customers_are(crowded: Registered) -> None:
    count = len(crowded.customers)
    countries = Counter(row["country"] for row in crowded.customers)
    for code, share in zip(
        ("US", "BR", "MX", "FR", "ES", "DE"), (50, 9, 7, 12, 8, 14), strict=True
    ):
        assert_share(countries[code], count, share / 100)
    genders = Counter(row["gender"] for row in crowded.customers)
    for gender, percent in zip(GENDERS, (36, 56, 3, 5), strict=True):
        assert_share(genders[gender], count, percent / 100)
    details = [json.loads(row["raw_data"]) for row in crowded.customers]
    assert_share(sum(row["newsletter"] for row in details), count, 0.42)
    assert {row["signup_channel"] for row in details} == {"web", "in_game", "launcher", "support"}


def test_whoever_comes_has_an_account(crowded: Registered) -> None:
    draw = mix(stream_key(1, "test"), np.arange(5_000))
    at = {row["customer_id"]: row["registered_at"] for row in crowded.customers}
    shop = Shop(CROWD, CROWDED)
    for day in (0, 3, 24):
        who = shop.customers.choose(day, draw)
        assert who.min() >= 1
        assert who.max() <= shop.calendar.customers_by(day)
        first = datetime.combine(shop.calendar.date(day), time())
        seconds = shop.customers.earliest(day, who)
        new = 0
        for customer, second in zip(who.tolist(), seconds.tolist(), strict=True):
            earliest = datetime(1970, 1, 1) + timedelta(seconds=second)
            assert earliest == max(first, at[customer])
            new += earliest > first
        assert new > 0


@given(day=st.integers(0, 400), customers=st.integers(1, 3), seed=st.integers(0, 1000))
@hypothesis_settings(max_examples=10)
def test_a_store_of_very_few_people_still_has_visitors(day: int, customers: int, seed: int) -> None:
    shop = Shop(small(customers=customers, days=2, seed=seed))
    who = shop.customers.choose(day, mix(3, np.arange(20)))
    assert who.min() >= 1
    assert who.max() <= shop.calendar.customers_by(day)


def test_people_come_most_soon_after_they_have_registered_and_few_stay_for_long() -> None:
    shop = Shop(small(customers=10_000, days=365))
    draw = mix(5, np.arange(40_000))
    opening = shop.calendar.customers_by(0)

    def pull(first: int, last: int) -> float:
        """How many of day 363's visits each of those has who registered on these days."""
        who = shop.customers.choose(363, draw)
        before, after = shop.calendar.customers_by(first - 1), shop.calendar.customers_by(last)
        return float(((who > before) & (who <= after)).sum()) / (after - before)

    # three times as often in the first two weeks
    assert 2.5 < pull(350, 363) / pull(336, 349) < 4
    # half of them are gone after 120 days, a quarter is left after 360: others take their place
    left = {
        day: len(np.intersect1d(shop.customers.choose(day, draw), np.arange(1, opening + 1)))
        for day in (0, 120, 360)
    }
    assert left[0] > 0.95 * opening
    assert 0.42 * opening < left[120] < 0.55 * opening
    assert 0.2 * opening < left[360] < 0.3 * opening


# -- hours ------------------------------------------------------------------------------------


def test_visits_are_in_the_evening_of_the_country_and_within_the_day() -> None:
    draw = mix(8, np.arange(50_000))
    for index, code in enumerate(COUNTRIES):
        country = np.full(draw.size, index)
        second = visit_second(draw, country, np.zeros_like(country))
        assert 0 <= second.min() < second.max() < LAST_START == 23 * 3600
        # the day is a little shorter than the clock's: undone here
        local = second / LAST_START * 24 + COUNTRY[code].time_zones[0][1] / 60
        hours = Counter((np.floor(local).astype(int) % 24).tolist())
        assert {hour for hour, _ in hours.most_common(3)} == {19, 20, 21}
        assert max(hours.values()) > 10 * hours[3] > 0
        # whoever registers at ten in the evening comes after that
        late = visit_second(draw, country, np.full(draw.size, 22 * 3600))
        assert late.min() >= 22 * 3600
        assert late.max() < LAST_START
        noon = visit_second(draw, country, np.full(draw.size, 12 * 3600))
        assert (noon[second >= 12 * 3600] == second[second >= 12 * 3600]).all()
        assert noon.min() >= 12 * 3600


# -- orders -----------------------------------------------------------------------------------

# spring, with the sale from 20 to 26 March
BUSY = small(customers=1_500, products=300, orders=6_000, days=35, start=date(2025, 2, 24))

PAYMENT = {
    "placed": "pending",
    "paid": "paid",
    "shipped": "paid",
    "delivered": "paid",
    "returned": "refunded",
}
DELIVERED = ("placed", "paid", "shipped", "delivered")
LIVES = (
    DELIVERED,
    (*DELIVERED, "returned"),
    ("placed", "paid", "cancelled"),
    ("placed", "cancelled"),
)
TAX = {"US": "7.5", "BR": "17", "MX": "16", "FR": "20", "ES": "21", "DE": "19"}
SALE_PERCENT = {date(2025, 3, 20) + timedelta(days=n): 15 for n in range(7)}
CENT = Decimal("0.01")


@dataclass
class Sold:
    """What a store has sold: the rows of each order, in the order of the feed, and whom and what
    they name."""

    settings: StoreSettings
    calendar: Calendar
    orders: dict[int, list[Row]]
    customers: dict[int, Row]
    products: dict[int, Row]


def sold(settings: StoreSettings) -> Sold:
    """The orders of a store's days, each to its end; rows are checked to be in their partitions."""
    shop = Shop(settings)
    orders: dict[int, list[Row]] = defaultdict(list)
    last = shop.calendar.orders_by(settings.days - 1)
    for day in range(settings.days + SETTLED_WITHIN):
        table = shop.orders.table(day)
        assert table.schema == BRONZE_TABLES["raw_orders"].arrow_schema
        table.validate(full=True)
        previous = datetime.combine(shop.calendar.date(day), time())
        for row in table.to_pylist():
            assert row["status_at"].date() == shop.calendar.date(day)
            assert row["status_at"] >= previous
            previous = row["status_at"]
            if row["order_id"] <= last:
                orders[row["order_id"]].append(row)
    return Sold(
        settings,
        shop.calendar,
        orders,
        {r["customer_id"]: r for d in range(settings.days) for r in rows(shop.customers, d)},
        {r["product_id"]: r for d in range(settings.days) for r in rows(shop.products, d)},
    )


def rows(maker: Customers | Products, day: int) -> list[Row]:
    return maker.table(day).to_pylist()


def check_sold(store: Sold, sales: Mapping[date, int]) -> None:
    """Asserts every rule of every order, and that sessions and numbers are the calendar's."""
    assert sorted(store.orders) == list(range(1, store.settings.orders + 1))
    sessions = [feed[0]["session_id"] for feed in store.orders.values()]
    assert len(set(sessions)) == len(sessions), "a session has two orders"
    for number, feed in store.orders.items():
        check_life(feed)
        order = feed[0]
        day = store.calendar.day(order["ordered_at"].date())
        assert store.calendar.orders_by(day - 1) < number <= store.calendar.orders_by(day)
        before, after = store.calendar.sessions_by(day - 1), store.calendar.sessions_by(day)
        assert before < order["session_id"] <= after
        customer = store.customers[order["customer_id"]]
        # the session began before, with an account
        assert customer["registered_at"] + timedelta(minutes=2) <= order["ordered_at"]
        assert order["ship_country"] == customer["country"]
        check_amounts(order, sales.get(order["ordered_at"].date(), 0))
        check_lines(order, store.products)


def check_life(feed: list[Row]) -> None:
    life = tuple(row["status"] for row in feed)
    assert life in LIVES
    placed = feed[0]
    image = {"status": 0, "status_at": 0, "payment_status": 0}
    for row in feed:
        assert {**row, **image} == {**placed, **image}
        unpaid = "failed" if "paid" not in life else "refunded"
        assert row["payment_status"] == PAYMENT.get(row["status"], unpaid)
    assert placed["status_at"] == placed["ordered_at"]
    at = {row["status"]: row["status_at"] for row in feed}
    times = [row["status_at"] for row in feed]
    assert all(earlier < later for earlier, later in pairwise(times))
    ordered = placed["ordered_at"]
    assert ordered.time() < time(23, 30, 1)
    days = {status: (when.date() - ordered.date()).days for status, when in at.items()}
    assert days.get("shipped", 0) <= SHIPPED_WITHIN
    assert days.get("delivered", 0) <= DELIVERED_WITHIN
    assert max(days.values()) <= SETTLED_WITHIN
    if "paid" in at:
        hours: tuple[float, float] = (
            (6, 36) if placed["payment_method"] == "bank_transfer" else (0, 0.1)
        )
        assert hours[0] <= (at["paid"] - ordered).total_seconds() / 3600 < hours[1]
    if life == ("placed", "cancelled"):
        assert at["cancelled"] - ordered == timedelta(days=1)
    elif "cancelled" in at:
        assert timedelta(hours=1) <= at["cancelled"] - at["paid"] < timedelta(hours=10)
    if "shipped" in at:
        # people work by day
        assert time(8) <= at["shipped"].time() < time(18)
        assert at["shipped"].date() > at["paid"].date()
        assert at["delivered"].date() > at["shipped"].date()
    if "returned" in at:
        assert 2 <= (at["returned"].date() - at["delivered"].date()).days <= 14


def items(order: Row) -> list[Row]:
    lines: list[Row] = json.loads(order["items"], parse_float=Decimal)
    return lines


def check_amounts(order: Row, sale: int) -> None:
    details = json.loads(order["raw_data"])
    assert set(details) == {"coupon", "gift"}
    assert details["coupon"] in (None, "THANKS10")
    percent = max(sale, 10 if details["coupon"] else 0)
    subtotal = discount = Decimal(0)
    for item in items(order):
        assert list(item) == ["line", "product_id", "quantity", "unit_price", "discount", "amount"]
        price = item["quantity"] * item["unit_price"]
        assert item["discount"] == (price * percent / 100).quantize(CENT, ROUND_DOWN)
        assert item["amount"] == price - item["discount"]
        # two decimals each, as money is written
        assert {
            -item[name].as_tuple().exponent for name in ("unit_price", "discount", "amount")
        } == {2}
        subtotal += price
        discount += item["discount"]
    net = subtotal - discount
    tax = (net * Decimal(TAX[order["ship_country"]]) / 100).quantize(CENT, ROUND_HALF_UP)
    post = Decimal("4.99") if order["ship_country"] == "US" else Decimal("9.99")
    shipping = Decimal(0) if net >= 50 else post
    amounts = tuple(order[name] for name in ("subtotal", "discount", "tax", "shipping", "total"))
    assert amounts == (subtotal, discount, tax, shipping, net + tax + shipping)
    assert order["currency"] == "USD"


def check_lines(order: Row, products: Mapping[int, Row]) -> None:
    lines = items(order)
    assert [item["line"] for item in lines] == list(range(1, len(lines) + 1))
    assert 1 <= len(lines) <= 6
    assert len({item["product_id"] for item in lines}) == len(lines)
    for item in lines:
        sold_one = products[item["product_id"]]
        assert sold_one["added_at"] <= order["ordered_at"]
        assert item["unit_price"] == sold_one["list_price"]
        assert item["quantity"] in (1, 2, 3)


@pytest.fixture(scope="module")
def busy() -> Sold:
    return sold(BUSY)


def test_orders_live_as_orders_do(busy: Sold) -> None:
    check_sold(busy, SALE_PERCENT)
    # the rules were put to use
    lives = {tuple(row["status"] for row in feed) for feed in busy.orders.values()}
    assert lives == set(LIVES)
    on_sale = [f[0] for f in busy.orders.values() if f[0]["ordered_at"].date() in SALE_PERCENT]
    assert any(json.loads(order["raw_data"])["coupon"] for order in on_sale)
    shipping = Counter(feed[0]["shipping"] for feed in busy.orders.values())
    assert set(shipping) == {Decimal("0.00"), Decimal("4.99"), Decimal("9.99")}


@given(
    settings=st.builds(
        small,
        customers=st.integers(1, 40),
        products=st.integers(1, 12),
        orders=st.integers(1, 60),
        days=st.integers(1, 12),
        seed=st.integers(0, 2**63 - 1),
    )
)
@example(settings=FEW.model_copy(update={"days": 1}))
@example(settings=FEW)
@hypothesis_settings(max_examples=6)
def test_any_store_keeps_every_rule(settings: StoreSettings) -> None:
    check_sold(sold(settings), {})


def test_statuses_come_in_time_and_the_days_bound_them() -> None:
    # of many more orders than can be checked row by row
    shop = Shop(small(customers=500, products=50, orders=60_000, days=20))
    placed = shop.orders.placed(0, 19)
    day = placed.ordered_at // 86_400

    def latest(at: np.ndarray) -> int:
        came = at != NEVER
        return int((at[came] // 86_400 - day[came]).max())

    # the first of them is one that inventory counts on, to the day
    assert latest(placed.shipped_at) == SHIPPED_WITHIN
    assert latest(placed.delivered_at) in (DELIVERED_WITHIN - 1, DELIVERED_WITHIN)
    for at in (placed.paid_at, placed.returned_at, placed.cancelled_at):
        assert latest(at) <= SETTLED_WITHIN
    shopping = placed.ordered_at - placed.session_started_at
    assert (shopping.min(), shopping.max()) == (120, 1800)
    assert (placed.session_started_at // 86_400 == day).all()
    assert (placed.ordered_at // 86_400 == day).all()
    assert (np.diff(placed.order_id) == 1).all()


def test_delivery_is_free_from_fifty_dollars_on() -> None:
    shop = Shop(small(products=2_000, orders=15_000, days=10))
    shipping: dict[Decimal, set[Decimal]] = defaultdict(set)
    for day in range(10):
        table = shop.orders.table(day).select(["subtotal", "discount", "shipping"])
        for row in table.to_pylist():
            shipping[row["subtotal"] - row["discount"]].add(row["shipping"])
    assert shipping[Decimal("50.00")] == {Decimal(0)}
    assert shipping[Decimal("49.99")] == {Decimal("4.99"), Decimal("9.99")}


def test_placed_is_the_days_one_after_the_other() -> None:
    shop, fresh = Shop(small()), Shop(small())
    joined = shop.orders.placed(-3, 6)
    assert len(joined) == shop.calendar.orders_by(6)
    lines, start = [], 0
    for day in range(7):
        alone = fresh.orders.placed(day, day)
        part = slice(start, start + len(alone))
        assert (joined.order_id[part] == alone.order_id).all()
        assert (joined.delivered_at[part] == alone.delivered_at).all()
        of = np.flatnonzero((joined.line_of >= start) & (joined.line_of < start + len(alone)))
        assert (joined.line_of[of] - start == alone.line_of).all()
        assert (joined.product[of] == alone.product).all()
        lines.append(of)
        start += len(alone)
    assert np.concatenate(lines).tolist() == list(range(joined.line_of.size))


def test_how_often_orders_are_unpaid_cancelled_and_returned(busy: Sold) -> None:
    lives = Counter(tuple(row["status"] for row in feed) for feed in busy.orders.values())
    count = len(busy.orders)
    unpaid = lives["placed", "cancelled"]
    assert_share(unpaid, count, 0.02)
    assert_share(lives["placed", "paid", "cancelled"], count - unpaid, 0.03)
    returned = lives[(*DELIVERED, "returned")]
    assert_share(returned, returned + lives[DELIVERED], 0.05)


def test_how_orders_are_paid_and_what_is_in_them(busy: Sold) -> None:
    orders = [feed[0] for feed in busy.orders.values()]
    methods = Counter(order["payment_method"] for order in orders)
    for method, percent in zip(PAYMENT_METHODS, (62, 26, 6, 6), strict=True):
        assert_share(methods[method], len(orders), percent / 100)
    details = [json.loads(order["raw_data"]) for order in orders]
    assert_share(sum(row["coupon"] is not None for row in details), len(details), 0.12)
    assert_share(sum(row["gift"] for row in details), len(details), 0.06)
    lines = Counter(len(items(order)) for order in orders)
    assert_share(lines[1], len(orders), 0.47)  # 46 %, and some where a product came twice
    assert lines[2] > lines[3] > lines[4] > lines[5] > lines[6] > 0
    quantities = Counter(item["quantity"] for order in orders for item in items(order))
    for quantity, expected in ((1, 0.82), (2, 0.13), (3, 0.05)):
        assert_share(quantities[quantity], sum(quantities.values()), expected)


def test_some_customers_buy_often(busy: Sold) -> None:
    counts = Counter(feed[0]["customer_id"] for feed in busy.orders.values())
    often = sorted(counts.values(), reverse=True)
    assert often[0] >= 15
    assert len(often) < 0.9 * len(busy.customers), "some never buy"
    tenth = often[: len(busy.customers) // 10]
    # by chance alone they would have less than a fifth of the orders
    assert sum(tenth) > 0.28 * len(busy.orders)


def test_some_products_go_together(busy: Sold) -> None:
    baskets = [
        [item["product_id"] for item in items(feed[0])]
        for feed in busy.orders.values()
        if len(items(feed[0])) > 1
    ]

    def repeats(pairs: Iterable[tuple[int, int]]) -> int:
        seen = Counter(tuple(sorted(pair)) for pair in pairs)
        return sum(count * (count - 1) // 2 for count in seen.values())

    within = [pair for basket in baskets for pair in combinations(basket, 2)]
    across = [
        pair
        for one, other in pairwise(baskets)
        for pair in product(one, other)
        if pair[0] != pair[1]
    ]
    chance = repeats(across) / len(across) ** 2
    assert repeats(within) / len(within) ** 2 > 2 * chance


def test_another_seed_sells_something_else() -> None:
    mine, theirs = (Shop(small(seed=seed)).orders.placed(0, 9) for seed in (42, 43))
    assert (mine.order_id == theirs.order_id).all()
    same = mine.customer == theirs.customer
    assert same.mean() < 0.1
    assert (mine.ordered_at == theirs.ordered_at).mean() < 0.01
