"""Reviews agree with what was bought, delivered and felt; addresses with their country."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from statistics import mean
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from faker.providers.person.en_US import Provider as AmericanNames
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sprint_platform.storefront.contracts import BRONZE_TABLES, CATEGORIES
from sprint_platform.storefront.generation import addresses as addresses_module
from sprint_platform.storefront.generation.addresses import addresses
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.customers import Customers
from sprint_platform.storefront.generation.orders import Orders
from sprint_platform.storefront.generation.products import Products
from sprint_platform.storefront.generation.review_words import BANKS
from sprint_platform.storefront.generation.reviews import Reviews
from sprint_platform.storefront.generation.telephones import phones
from sprint_platform.storefront.settings import PRESETS, StoreSettings
from sprint_platform.title import COUNTRIES

Row = dict[str, Any]

LANGUAGES = {"US": "en", "BR": "pt", "MX": "es", "FR": "fr", "ES": "es", "DE": "de"}
MOOD_OF_STARS = {5: 0, 4: 0, 3: 1, 2: 2, 1: 2}
# the last review of a day's orders comes at most so many days after it: 12 until delivery, then 14
REVIEWED_WITHIN = 26


class Shop:
    """A store's tables, read as rows of Python's own values."""

    def __init__(self, **settings: Any) -> None:
        self.settings = StoreSettings(title="", **settings)
        calendar = Calendar(self.settings)
        self.customers = Customers(self.settings, calendar, None)
        self.products = Products(self.settings, calendar)
        self.orders = Orders(self.settings, calendar, self.customers, self.products)
        self.reviews = Reviews(self.settings, calendar, self.customers, self.products, self.orders)

    def rows(self, table: str, days: int, *columns: str) -> list[Row]:
        """The rows of the days 0 … days - 1, each with the number of its day."""
        makers: dict[str, Callable[[int], pa.Table]] = {
            "raw_customers": self.customers.table,
            "raw_products": self.products.table,
            "raw_orders": self.orders.table,
            "raw_reviews": self.reviews.table,
        }
        names = columns or tuple(BRONZE_TABLES[table].column_names)
        return [
            {**row, "day": day}
            for day in range(days)
            for row in makers[table](day).select(names).to_pylist()
        ]

    def orders_and_items(self, days: int) -> list[Row]:
        """The statuses and items in ``raw_orders``, of the first days."""
        columns = ("order_id", "status", "status_at", "customer_id", "items")
        return self.rows("raw_orders", days, *columns)


@lru_cache(maxsize=1)
def busy_shop() -> tuple[list[Row], list[Row]]:
    """Orders and reviews of a store in which every product is reviewed often."""
    shop = Shop(customers=800, products=30, orders=20_000, days=40)
    return shop.orders_and_items(60), shop.rows("raw_reviews", 60)


def check_reviews(shop: Shop, days: int) -> int:
    """Everything that must be so, of all reviews of the first days. Returns how many there are."""
    country = {
        row["customer_id"]: row["country"]
        for row in shop.rows("raw_customers", days, "customer_id", "country")
    }
    category = {
        row["product_id"]: row["category"]
        for row in shop.rows("raw_products", days, "product_id", "category")
    }
    delivered: dict[tuple[int, int], dict[int, datetime]] = defaultdict(dict)
    for order in shop.orders_and_items(days):
        if order["status"] == "delivered":
            for item in json.loads(order["items"]):
                bought = delivered[order["customer_id"], item["product_id"]]
                assert order["order_id"] not in bought
                bought[order["order_id"]] = order["status_at"]

    reviews = shop.rows("raw_reviews", days)
    assert len({row["review_id"] for row in reviews}) == len(reviews)
    rank: Counter[int] = Counter()
    for row, before in zip(reviews, [None, *reviews], strict=False):
        rank[row["day"]] += 1
        assert row["review_id"] == row["day"] * 10_000_000 + rank[row["day"]]
        when = row["reviewed_at"]
        assert (when.date() - shop.settings.start).days == row["day"]
        assert before is None or before["reviewed_at"] <= when

        bought = delivered[row["customer_id"], row["product_id"]]
        since = {order: when - at for order, at in bought.items()}
        fitting = {o for o, t in since.items() if timedelta(days=1) <= t <= timedelta(days=14)}
        assert fitting
        assert row["verified_purchase"] == (row["order_id"] is not None)
        assert row["order_id"] is None or row["order_id"] in fitting

        assert row["language"] == LANGUAGES[country[row["customer_id"]]]
        check_words(row, category[row["product_id"]])
        assert row["helpful_count"] >= 0
        details = json.loads(row["raw_data"])
        assert list(details) == ["source", "photos"]
        assert details["source"] in ("web", "email", "in_game")
        assert details["photos"] in range(4)

    lines = Counter((row["customer_id"], row["product_id"]) for row in reviews)
    assert all(count <= len(delivered[line]) for line, count in lines.items())
    known = [(row["order_id"], row["product_id"]) for row in reviews if row["order_id"]]
    assert len(set(known)) == len(known)
    return len(reviews)


def check_words(row: Row, category: str) -> None:
    """The title and one to three sentences are of the mood of the stars, in the language."""
    bank = BANKS[row["language"]][MOOD_OF_STARS[row["rating"]]]
    assert row["title"] in bank.titles
    sentences = re.findall(r"\S.*?[.!](?=\s[^!]|$)", row["body"])
    assert " ".join(sentences) == row["body"]
    assert sentences.pop(0) in bank.openers
    details = {*bank.details, bank.by_category[CATEGORIES.index(category)]}
    if sentences and sentences[0] in details:
        sentences.pop(0)
    if sentences and sentences[0] in bank.closers:
        sentences.pop(0)
    assert not sentences


# -- reviews ----------------------------------------------------------------------------------


def test_a_whole_small_store() -> None:
    shop = Shop(**PRESETS["small"])
    assert check_reviews(shop, PRESETS["small"]["days"] + REVIEWED_WITHIN + 1) > 150


@given(
    customers=st.integers(1, 200),
    products=st.integers(1, 60),
    orders_a_day=st.integers(1, 12),
    days=st.integers(1, 20),
    seed=st.integers(0, 2**63 - 1),
)
@example(customers=1, products=1, orders_a_day=40, days=1, seed=0)
@example(customers=200, products=1, orders_a_day=1, days=20, seed=2**63 - 1)
@hypothesis_settings(max_examples=8)
def test_any_store_keeps_every_rule(
    customers: int, products: int, orders_a_day: int, days: int, seed: int
) -> None:
    orders = orders_a_day * days
    shop = Shop(customers=customers, products=products, orders=orders, days=days, seed=seed)
    check_reviews(shop, days + REVIEWED_WITHIN + 1)


def test_columns_are_the_contracts() -> None:
    shop = Shop(**PRESETS["small"])
    empty, full = shop.reviews.table(0), shop.reviews.table(25)
    assert (empty.num_rows, full.num_rows > 0) == (0, True)
    for table in (empty, full):
        table.validate(full=True)
        assert table.schema == BRONZE_TABLES["raw_reviews"].arrow_schema
        assert {name for name in table.column_names if table[name].null_count} <= {"order_id"}


def test_a_day_is_the_same_alone_and_in_any_order() -> None:
    shop = Shop(**PRESETS["small"])
    days = range(5, 45)
    tables = {day: shop.reviews.table(day) for day in days}
    other = Shop(**PRESETS["small"])
    assert all(other.reviews.table(day).equals(tables[day]) for day in reversed(days))
    for day in (10, 29, 30, 41):
        assert Shop(**PRESETS["small"]).reviews.table(day).equals(tables[day])


def test_another_seed_is_of_other_reviews() -> None:
    shop = Shop(**PRESETS["small"])
    other = shop.settings.model_copy(update={"seed": 43})
    # of the same orders, so that nothing but the reviews' own draws can differ
    reviews = Reviews(other, Calendar(other), shop.customers, shop.products, shop.orders)
    reviewed = [
        {
            (row["product_id"], row["customer_id"], row["reviewed_at"])
            for day in range(30)
            for row in made.table(day).to_pylist()
        }
        for made in (shop.reviews, reviews)
    ]
    assert min(len(rows) for rows in reviewed) > 50
    assert not reviewed[0] & reviewed[1]


def test_the_shares_of_lines_reviewed_and_of_verified_ones() -> None:
    shop = Shop(**PRESETS["medium"])
    lines = {
        (order["order_id"], item["product_id"])
        for day in range(200, 240)
        for order in shop.orders.table(day).to_pylist()
        if order["status"] == "delivered"
        for item in json.loads(order["items"])
    }
    reviews = pa.concat_tables([shop.reviews.table(day) for day in range(200, 255)]).to_pylist()
    known = {(row["order_id"], row["product_id"]) for row in reviews} & lines
    assert len(lines) > 8_000
    assert len(known) / len(lines) == pytest.approx(0.12 * 0.92, abs=0.012)
    assert mean(row["verified_purchase"] for row in reviews) == pytest.approx(0.92, abs=0.025)


def test_reviews_come_at_any_time_one_to_fourteen_days_after_the_delivery() -> None:
    orders, reviews = busy_shop()
    at = {row["order_id"]: row["status_at"] for row in orders if row["status"] == "delivered"}
    waits = [row["reviewed_at"] - at[row["order_id"]] for row in reviews if row["order_id"]]
    days = Counter(wait.days for wait in waits)
    assert set(days) == set(range(1, 14))
    assert min(days.values()) > 0.6 * max(days.values())
    hours = Counter(row["reviewed_at"].hour for row in reviews)
    assert set(hours) == set(range(24))


def test_ratings_are_many_fives_some_ones_and_low_where_the_order_went_back() -> None:
    orders, reviews = busy_shop()
    stars = Counter(row["rating"] for row in reviews)
    assert mean(row["rating"] for row in reviews) == pytest.approx(4.1, abs=0.2)
    assert stars[5] > len(reviews) / 2
    assert stars[5] > stars[4] > stars[1] > stars[2] > 0
    returned = {row["order_id"] for row in orders if row["status"] == "returned"}
    back = [row["rating"] for row in reviews if row["order_id"] in returned]
    assert len(back) > 50
    assert mean(back) < 2.5


def test_products_differ_in_quality() -> None:
    by_product = defaultdict(list)
    for row in busy_shop()[1]:
        by_product[row["product_id"]].append(row["rating"])
    means = sorted(mean(stars) for stars in by_product.values() if len(stars) > 60)
    assert len(means) > 10
    assert means[-1] - means[0] > 0.8


def test_texts_vary_and_few_reviews_help_many() -> None:
    reviews = busy_shop()[1]
    english = [row for row in reviews if row["language"] == "en" and row["rating"] >= 4]
    assert len({row["title"] for row in english}) == len(BANKS["en"][0].titles)
    assert len({(row["title"], row["body"]) for row in english}) > 0.6 * len(english)
    lengths = Counter(sum(row["body"].count(mark) for mark in ".!") for row in english)
    assert set(lengths) == {1, 2, 3}
    helped = sorted(row["helpful_count"] for row in reviews)
    assert helped[len(helped) // 2] == 0
    assert helped[-1] >= 20


@pytest.mark.parametrize("language", list(BANKS))
def test_banks_are_whole_sentences_of_one_mood(language: str) -> None:
    banks = BANKS[language]
    assert len(banks) == 3
    for bank in banks:
        assert len(bank.titles) == 8
        assert (len(bank.openers), len(bank.details), len(bank.closers)) == (10, 6, 6)
        assert len(bank.by_category) == len(CATEGORIES)
        for sentence in (*bank.openers, *bank.details, *bank.by_category, *bank.closers):
            assert re.fullmatch(r"¡?[A-ZÀÇÉ][^.!?]*[^\s.!?][ ]?[.!]", sentence), sentence
        for title in bank.titles:
            assert re.fullmatch(r"\S.*[^\s.]", title)
    phrases = [
        text
        for bank in banks
        for texts in (bank.titles, bank.openers, bank.details, bank.by_category, bank.closers)
        for text in texts
    ]
    assert len(set(phrases)) == len(phrases)


# -- addresses and telephone numbers ----------------------------------------------------------

LETTERS = r"[^\W\d_][\w' .-]*"
STREET = {
    "US": rf"[1-9]\d{{1,3}} {LETTERS} (Street|Avenue|Road|Drive|Lane|Court|Place)",
    "BR": rf"(Rua|Avenida|Travessa|Alameda|Praça) {LETTERS}, [1-9]\d{{0,3}}",
    "MX": rf"(Calle|Avenida|Calzada|Privada|Boulevard|Cerrada) {LETTERS} [1-9]\d{{0,3}}",
    "FR": rf"[1-9]\d{{0,2}} (rue|avenue|boulevard|chemin) {LETTERS}",
    "ES": rf"(Calle|Avenida|Plaza|Paseo|Ronda|Camino) {LETTERS}, [1-9]\d{{0,2}}",
    "DE": r"[^\W\d_]+(straße|weg|platz|allee|ring|gasse) [1-9]\d{0,2}",
}
POSTAL_CODE = {
    "US": r"\d{5}",
    "BR": r"\d{5}-\d{3}",
    "MX": r"\d{5}",
    "FR": r"(0[1-9]|[1-8]\d|9[0-5])\d{3}",
    "ES": r"(0[1-9]|[1-4]\d|5[0-2])\d{3}",
    "DE": r"\d{5}",
}
REGION = {"US": r"[A-Z]{2}", "BR": r"[A-Z]{2}"}
PHONE = {
    "US": r"\+1[2-9]\d\d55501\d\d",
    "BR": r"\+55209\d{8}",
    "MX": r"\+52401\d{7}",
    "FR": r"\+33(19900|26191|35301|46571|53649|63998)\d{4}",
    "ES": r"\+344\d{8}",
    "DE": r"\+49((3023125|6990009|4066969|2214710|8999998)\d{3}|17139200\d\d)",
}
# a city's region and how its postal codes begin
KNOWN: dict[str, tuple[str, str | tuple[str, ...]]] = {
    "New York": ("NY", "100"),
    "Seattle": ("WA", "981"),
    "Boston": ("MA", "021"),
    "São Paulo": ("SP", "0"),
    "Curitiba": ("PR", "8"),
    "Ciudad de México": ("Ciudad de México", ("0", "1")),
    "Paris": ("Île-de-France", "750"),
    "Marseille": ("Provence-Alpes-Côte d'Azur", "130"),
    "Barcelona": ("Barcelona", "080"),
    "Berlin": ("Berlin", ("10", "12", "13", "14", "11")),
    "München": ("Bayern", ("80", "81")),
}


def customers_of_all_countries(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Customers' numbers, and their countries in turn."""
    number = np.arange(1, count + 1)
    return number, (number % len(COUNTRIES)).astype(np.uint8)


@pytest.fixture(scope="module")
def contacts() -> dict[str, list[tuple[dict[str, str], str]]]:
    """Addresses and numbers by country."""
    number, country = customers_of_all_countries(60_000)
    by_country = defaultdict(list)
    texts = addresses(42, number, country).to_pylist()
    numbers = phones(42, number, country).to_pylist()
    for code, text, phone in zip(country, texts, numbers, strict=True):
        by_country[COUNTRIES[code]].append((json.loads(text), phone))
    return by_country


@pytest.mark.parametrize("country", COUNTRIES)
def test_addresses_are_as_the_country_writes_them(
    country: str, contacts: dict[str, list[tuple[dict[str, str], str]]]
) -> None:
    region_of: dict[str, set[str]] = defaultdict(set)
    for address, phone in contacts[country]:
        assert list(address) == ["street", "city", "region", "postal_code", "country"]
        assert address["country"] == country
        assert re.fullmatch(STREET[country], address["street"]), address
        assert re.fullmatch(POSTAL_CODE[country], address["postal_code"]), address
        assert re.fullmatch(REGION.get(country, LETTERS), address["region"]), address
        assert re.fullmatch(PHONE[country], phone)
        region_of[address["city"]].add(address["region"])
        if address["city"] in KNOWN:
            region, begin = KNOWN[address["city"]]
            assert address["region"] == region
            assert address["postal_code"].startswith(begin)
    assert 8 <= len(region_of) <= 12
    assert {len(regions) for regions in region_of.values()} == {1}


def test_people_live_in_cities_as_the_census_says(
    contacts: dict[str, list[tuple[dict[str, str], str]]],
) -> None:
    shares = {
        code: Counter(address["city"] for address, _ in rows) for code, rows in contacts.items()
    }
    largest = {code: cities.most_common(1)[0][0] for code, cities in shares.items()}
    assert largest == {
        "US": "New York",
        "BR": "São Paulo",
        "MX": "Ciudad de México",
        "FR": "Paris",
        "ES": "Madrid",
        "DE": "Berlin",
    }
    # 3.3 million in Madrid, 1.66 in Barcelona
    assert shares["ES"]["Madrid"] / shares["ES"]["Barcelona"] == pytest.approx(2.0, abs=0.25)


def test_a_street_is_not_everybodys(contacts: dict[str, list[tuple[dict[str, str], str]]]) -> None:
    for rows in contacts.values():
        assert len({address["street"] for address, _ in rows}) > 0.7 * len(rows)


def test_a_customer_has_the_same_address_whoever_else_is_asked_for() -> None:
    number, country = customers_of_all_countries(5_000)
    for function in (addresses, phones):
        whole = function(42, number, country)
        for start, end in ((0, 1), (17, 40), (4_990, 5_000), (3, 3)):
            part = function(42, number[start:end], country[start:end])
            assert part.equals(whole[start:end])
        assert function(42, number[::-1], country[::-1]).equals(whole.take(np.arange(5_000)[::-1]))
        other = function(43, number, country)
        same = np.mean([a == b for a, b in zip(whole.to_pylist(), other.to_pylist(), strict=True)])
        assert same < 0.01


@pytest.fixture
def odd_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Americans all have names that JSON must escape."""
    names = ["O'Brien", 'Robert "Bob" Tables', "Back\\slash", "Tab\there"]
    monkeypatch.setattr(AmericanNames, "last_names", names)
    addresses_module._pieces.cache_clear()
    yield names
    addresses_module._pieces.cache_clear()


def test_names_with_quotes_are_escaped(odd_names: list[str]) -> None:
    number = np.arange(1, 101)
    made = addresses(42, number, np.zeros(100, np.uint8)).to_pylist()
    streets = [json.loads(text)["street"] for text in made]
    assert {name for name in odd_names if any(name in street for street in streets)} == {*odd_names}
