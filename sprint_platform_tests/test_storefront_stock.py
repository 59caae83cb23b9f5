"""The store's products, and its warehouse: what is on hand after every movement, day by day."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sprint_platform.draws import mix
from sprint_platform.storefront.contracts import BRONZE_TABLES, CATEGORIES
from sprint_platform.storefront.generation import product_words
from sprint_platform.storefront.generation.calendar import Calendar
from sprint_platform.storefront.generation.customers import Customers
from sprint_platform.storefront.generation.inventory import Inventory
from sprint_platform.storefront.generation.orders import NEVER, Orders
from sprint_platform.storefront.generation.products import Products
from sprint_platform.storefront.settings import PRESETS, StoreSettings

Row = dict[str, Any]


class Stock:
    """A store's products, orders and warehouse, made anew."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self.calendar = Calendar(settings)
        self.products = Products(settings, self.calendar)
        customers = Customers(settings, self.calendar, None)
        self.orders = Orders(settings, self.calendar, customers, self.products)
        self.inventory = Inventory(settings, self.calendar, self.products, self.orders)


def small(**settings: Any) -> StoreSettings:
    return StoreSettings(**{**PRESETS["small"], "title": "", **settings})


def all_products(settings: StoreSettings) -> list[Row]:
    made = Stock(settings)
    return [r for day in range(settings.days) for r in made.products.table(day).to_pylist()]


@cache
def catalogue() -> list[Row]:
    """Every product of the medium store: enough for each shelf to hold some."""
    return all_products(small(**PRESETS["medium"]))


# -- products ---------------------------------------------------------------------------------


def test_products_are_numbered_in_the_order_in_which_they_are_added() -> None:
    rows = catalogue()
    assert [row["product_id"] for row in rows] == list(range(1, 5001))
    added = [row["added_at"] for row in rows]
    assert added == sorted(added)
    # a store opens with four fifths of its range, and the rest comes until its last day
    assert Counter(added)[datetime(2025, 1, 1)] == 4000
    assert {at.time() for at in added} == {time(0)}
    assert added[-1] == datetime(2025, 12, 31)


def test_days_added_are_those_of_the_tables() -> None:
    settings = small(products=90, days=12)
    number = np.arange(1, 91)
    days = [(row["added_at"].date() - settings.start).days for row in all_products(settings)]
    assert Stock(settings).products.added_day(number).tolist() == days
    # also where a later product was asked for before, and beyond the first days
    products = Stock(settings).products
    later = products.added_day(np.array([200]))[0]
    assert products.table(int(later)).column("product_id").to_pylist().count(200) == 1
    assert products.added_day(number).tolist() == days


def test_skus_are_unique_and_say_where_a_product_belongs() -> None:
    rows = catalogue()
    assert len({row["sku"] for row in rows}) == len(rows)
    shelf_of: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        category, shelf, number = row["sku"].split("-")
        assert (len(category), len(shelf), len(number)) == (3, 3, 6)
        assert int(number) == row["product_id"]
        shelf_of[row["sku"][:7]].add((row["category"], row["subcategory"]))
    assert all(len(shelves) == 1 for shelves in shelf_of.values())
    assert {row["category"] for row in rows} == set(CATEGORIES)
    per_category = Counter(name for shelves in shelf_of.values() for name, _ in shelves)
    assert all(4 <= per_category[name] <= 5 for name in CATEGORIES)


def test_a_sku_of_a_seven_digit_product_is_not_cut() -> None:
    settings = small(products=1_000_000, days=2)
    sku = Stock(settings).products.table(2).column("sku").to_pylist()
    assert len(set(sku)) == len(sku) > 0
    assert all(int(text.split("-")[2]) > 1_000_000 for text in sku)


def test_a_product_costs_what_its_shelf_costs_and_the_store_pays_less() -> None:
    bands = {
        (name, shelf.name): shelf.dollars
        for name, category in product_words.CATEGORIES.items()
        for shelf in category.subcategories
    }
    endings: Counter[str] = Counter()
    shares = []
    for row in catalogue():
        low, high = bands[row["category"], row["subcategory"]]
        assert low <= row["list_price"] < high
        assert 0 < row["unit_cost"] < row["list_price"]
        shares.append(row["unit_cost"] / row["list_price"])
        endings[str(row["list_price"])[-3:]] += 1
    assert set(endings) == {".99", ".49", ".00"}
    assert endings[".99"] > len(shares) / 2
    # a cent is at most a quarter of a percent of the cheapest price
    assert Decimal("0.347") < min(shares) < Decimal("0.36")
    assert Decimal("0.74") < max(shares) <= Decimal("0.75")


def test_prices_and_categories_by_number_are_those_of_the_table() -> None:
    rows = catalogue()
    products = Stock(small(**PRESETS["medium"])).products
    # in another order, and more than once
    number = np.array([4999, 3, 3, 5000, 1])
    picked = [rows[n - 1] for n in number]
    assert products.price(number).tolist() == [int(row["list_price"] * 100) for row in picked]
    assert products.cost(number).tolist() == [int(row["unit_cost"] * 100) for row in picked]
    assert [CATEGORIES[c] for c in products.category(number)] == [row["category"] for row in picked]


def test_attributes_are_json_that_fits_the_shelf() -> None:
    shelves = {
        (name, shelf.name): shelf
        for name, category in product_words.CATEGORIES.items()
        for shelf in category.subcategories
    }
    seen = set()
    for row in catalogue():
        shelf = shelves[row["category"], row["subcategory"]]
        details = json.loads(row["attributes"])
        assert list(details) == [*shelf.choices, "weight_g", "dimensions_mm"]
        assert all(details[key] in words for key, words in shelf.choices.items())
        assert shelf.grams[0] <= details["weight_g"] <= shelf.grams[1]
        length, width, height = details["dimensions_mm"]
        assert shelf.millimetres[0] <= length <= shelf.millimetres[1]
        assert length > width > height > 0
        words = row["product_name"]
        assert words.startswith(product_words.FIRST_WORDS)
        assert words.endswith(shelf.nouns)
        assert any(f" {kind} " in words for kind in shelf.kinds)
        assert row["brand"] in product_words.CATEGORIES[row["category"]].brands
        seen.add((row["category"], row["subcategory"]))
    assert seen == set(shelves)
    assert {"size", "color", "material"} < set(
        json.loads(next(r for r in catalogue() if r["category"] == "Apparel")["attributes"])
    )


def test_barcodes_are_for_internal_use_and_have_the_right_check_digit() -> None:
    codes = []
    for row in catalogue():
        details = json.loads(row["raw_data"])
        assert (details["supplier"], details["country_of_origin"]) in product_words.CATEGORIES[
            row["category"]
        ].suppliers
        code = details["barcode"]
        assert len(code) == 13
        assert 20 <= int(code[:2]) <= 29
        # GS1: weighted 1, 3, 1, 3 … from the left, all thirteen digits add up to tens
        assert sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(code)) % 10 == 0
        codes.append(code)
    assert len(set(codes)) == len(codes)


def test_a_few_products_sell_much_and_numbers_do_not_show_which() -> None:
    products = Stock(small(**PRESETS["medium"])).products
    draw = mix(7, np.arange(200_000))
    sold = np.bincount(products.choose(364, draw), minlength=5001)[1:]
    assert sold.size == 5000
    best = np.sort(sold)[::-1]
    assert 0.35 < best[:500].sum() / sold.sum() < 0.7
    assert best[0] < 0.02 * sold.sum()
    assert np.count_nonzero(sold) > 4900
    # each tenth of the numbers sells about a tenth
    tenths = sold.reshape(10, 500).sum(axis=1) / sold.sum()
    assert tenths.min() > 0.07
    assert tenths.max() < 0.14
    # and other seeds have other favourites
    other = Stock(small(**PRESETS["medium"], seed=43)).products.choose(364, draw)
    again = np.bincount(other, minlength=5001)[1:]
    assert len(set(np.argsort(sold)[-100:]) & set(np.argsort(again)[-100:])) < 20


def test_only_what_is_on_sale_is_chosen_and_new_products_at_once() -> None:
    settings = small(products=60, days=20)
    draw = mix(1, np.arange(20_000))
    forwards, backwards = Stock(settings), Stock(settings)
    chosen = [forwards.products.choose(day, draw) for day in range(20)]
    for day in reversed(range(20)):
        on_sale = forwards.calendar.products_by(day)
        assert set(chosen[day]) == set(range(1, on_sale + 1))
        assert np.array_equal(backwards.products.choose(day, draw), chosen[day])
    assert set(chosen[0]) < set(chosen[19])


def test_companions_are_three_opening_products_of_fitting_categories() -> None:
    stock = Stock(small(products=500))
    opening = stock.calendar.products_by(0)
    product = np.repeat(np.arange(1, 501), 40)
    companion = stock.products.companion(product, mix(3, np.arange(product.size)))
    assert opening == 400
    assert companion.min() >= 1
    assert companion.max() <= opening
    assert not np.any(companion == product)
    category = stock.products.category(np.arange(1, 501))
    fitting: Counter[str] = Counter()
    for number in range(1, 501):
        its_own = CATEGORIES[category[number - 1]]
        found = Counter(companion[product == number].tolist())
        assert 1 <= len(found) <= 3
        for other, times in found.items():
            name = CATEGORIES[category[other - 1]]
            assert name in product_words.CATEGORIES[its_own].goes_with
            fitting[name] += times
    assert len(fitting) == len(CATEGORIES)


@pytest.mark.parametrize("products", [1, 2, 3, 7])
def test_companions_in_stores_of_few_products(products: int) -> None:
    stock = Stock(small(products=products, days=3))
    opening = stock.calendar.products_by(0)
    product = np.repeat(np.arange(1, products + 1), 50)
    companion = stock.products.companion(product, mix(3, np.arange(product.size)))
    assert set(companion) <= set(range(1, opening + 1))
    if opening > 1:
        assert not np.any(companion == product)
    else:
        # the one product that there was
        assert set(companion) == {1}


# -- the warehouse ----------------------------------------------------------------------------


def movements(stock: Stock, days: int) -> list[Row]:
    """All movements of the first days, each with its ``day``, checked to be that day's."""
    rows: list[Row] = []
    for day in range(days):
        table = stock.inventory.table(day)
        assert table.schema == BRONZE_TABLES["raw_inventory"].arrow_schema
        of_day = table.to_pylist()
        when = stock.calendar.date(day)
        assert all(row["occurred_at"].date() == when for row in of_day)
        assert [row["movement_id"] for row in of_day] == [
            day * 10_000_000 + rank for rank in range(1, len(of_day) + 1)
        ]
        assert of_day == sorted(of_day, key=lambda row: (row["occurred_at"], row["product_id"]))
        rows += [{**row, "day": day} for row in of_day]
    return rows


def shipped_lines(stock: Stock, days: int) -> dict[tuple[int, int], tuple[int, int, datetime]]:
    """(order, line) to product, quantity and time, for what is shipped in the first days."""
    placed = stock.orders.placed(0, days - 1)
    end = datetime.combine(stock.calendar.date(days), time(), UTC).timestamp()
    at = placed.shipped_at[placed.line_of]
    return {
        (int(placed.order_id[placed.line_of[n]]), int(placed.line_number[n])): (
            int(placed.product[n]),
            int(placed.quantity[n]),
            datetime.fromtimestamp(int(at[n]), UTC).replace(tzinfo=None),
        )
        for n in np.flatnonzero((at < end) & (at != NEVER))
    }


def check_warehouse(stock: Stock, days: int) -> None:
    """Replays the movements of the first days, piece by piece."""
    rows = movements(stock, days)
    by_product: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["occurred_at"], row["movement_id"])):
        by_product[row["product_id"]].append(row)
    assert set(by_product) == set(range(1, stock.calendar.products_by(days - 1) + 1))
    for product, moved in by_product.items():
        _check_product(moved, int(stock.products.added_day(np.array([product]))[0]), days)

    sales = [row for row in rows if row["reason"] == "sale"]
    sold = {
        (row["order_id"], row["order_line"]): (
            row["product_id"],
            -row["quantity"],
            row["occurred_at"],
        )
        for row in sales
    }
    assert len(sold) == len(sales)
    assert sold == shipped_lines(stock, days)


def _check_product(moved: list[Row], added: int, days: int) -> None:
    on_hand = 0
    for row in moved:
        before, on_hand = on_hand, on_hand + row["quantity"]
        assert row["stock_after"] == on_hand >= 0, row
        reason, quantity = row["reason"], row["quantity"]
        if reason == "sale":
            assert row["movement_type"] == "OUT"
            assert quantity < 0
            continue
        assert row["order_id"] is row["order_line"] is None
        if reason == "count":
            assert row["movement_type"] == "ADJUSTMENT"
            assert -3 <= quantity <= 0
        else:
            assert row["movement_type"] == "IN"
            assert quantity > 0
        if reason == "restock":
            # what is left at a restock is the safety stock and nothing more
            assert 2 <= before <= 20, row
    assert min(row["stock_after"] for row in moved) >= 2

    assert [row["day"] for row in moved if row["reason"] == "initial"] == [added]
    assert moved[0]["reason"] == "initial"
    counts = [row["day"] for row in moved if row["reason"] == "count"]
    assert all(later - day == 7 for day, later in pairwise(counts))
    if days > added + 6:
        assert added <= counts[0] <= added + 6
        assert counts[-1] >= days - 7
    restocks = [row["day"] for row in moved if row["reason"] == "restock"]
    assert all(later > day and (later - day) % 7 == 0 for day, later in pairwise(restocks))
    assert added not in restocks


def test_stock_after_each_movement_is_the_sum_of_all_before_it() -> None:
    check_warehouse(Stock(small()), 45)


def test_busy_products_never_run_out() -> None:
    # 40 orders a day for five products
    stock = Stock(small(products=5, orders=1200))
    check_warehouse(stock, 40)
    quantities = Counter(row["reason"] for row in movements(stock, 40))
    assert quantities["restock"] >= 20


@hypothesis_settings(max_examples=15)
@given(
    st.builds(
        StoreSettings,
        customers=st.integers(1, 200),
        products=st.integers(1, 40),
        orders=st.integers(1, 300),
        days=st.integers(1, 25),
        seed=st.integers(0, 2**63 - 1),
        start=st.dates(date(2000, 1, 1), date(2040, 1, 1)),
        title=st.just(""),
    )
)
@example(StoreSettings(customers=1, products=1, orders=1, days=1, title=""))
@example(StoreSettings(customers=1, products=1, orders=400, days=2, title=""))
def test_any_store_has_what_it_ships(settings: StoreSettings) -> None:
    check_warehouse(Stock(settings), settings.days + 9)


def test_losses_are_rare_and_small() -> None:
    rows = movements(Stock(small()), 40)
    counts = Counter(row["quantity"] for row in rows if row["reason"] == "count")
    assert set(counts) == {0, -1, -2, -3}
    assert counts[0] > 0.95 * counts.total()
    assert counts[-1] > counts[-2] > 0


def test_movements_happen_in_the_order_of_a_working_day() -> None:
    hours: dict[str, set[time]] = defaultdict(set)
    for row in movements(Stock(small()), 20):
        hours[row["reason"]].add(row["occurred_at"].time())
    assert hours["initial"] == {time(0, 30)}
    assert hours["restock"] == {time(5)}
    assert hours["count"] == {time(22)}
    assert time(5) < min(hours["sale"])
    assert max(hours["sale"]) < time(22)


def test_restocks_and_counts_are_spread_over_the_week() -> None:
    days: dict[str, Counter[int]] = defaultdict(Counter)
    both: Counter[int] = Counter()
    for row in movements(Stock(small(products=350, orders=3000)), 42):
        days[row["reason"]][row["day"] % 7] += 1
        if row["reason"] == "count":
            both[(row["day"] + row["product_id"]) % 7] += 1
    for reason in ("restock", "count"):
        assert len(days[reason]) == 7
        assert min(days[reason].values()) > 0.5 * max(days[reason].values())
    # a count may be on any day after the restock
    assert len(both) == 7


def test_what_else_a_movement_carries_is_json() -> None:
    houses: dict[int, set[str]] = defaultdict(set)
    documents = []
    for row in movements(Stock(small()), 15):
        details = json.loads(row["raw_data"])
        assert list(details) == ["warehouse", "document"]
        houses[row["product_id"]].add(details["warehouse"])
        documents.append(details["document"])
        start = {"OUT": "DN-", "IN": "GR-", "ADJUSTMENT": "CT-"}[row["movement_type"]]
        assert details["document"].startswith(start)
    assert all(len(found) == 1 for found in houses.values())
    assert len(set.union(*houses.values())) == 4
    assert len(set(documents)) == len(documents)


# -- any day alone ----------------------------------------------------------------------------


def _tables(stock: Stock, day: int) -> tuple[pa.Table, pa.Table]:
    return stock.products.table(day), stock.inventory.table(day)


def test_a_day_is_the_same_alone_and_in_any_order() -> None:
    settings = small(products=200, orders=900, days=25)
    forwards = Stock(settings)
    made = [_tables(forwards, day) for day in range(30)]
    backwards = Stock(settings)
    for day in reversed(range(30)):
        assert _tables(backwards, day) == made[day]
    for day in (0, 1, 13, 24, 29):
        assert _tables(Stock(settings), day) == made[day]
    other = small(products=200, orders=900, days=25, seed=43)
    assert _tables(Stock(other), 0)[0] != made[0][0]
    assert _tables(Stock(other), 13)[1] != made[13][1]


def test_products_do_not_depend_on_how_much_is_sold() -> None:
    few, many = small(orders=10, customers=5), small(orders=2000, customers=3000)
    assert all_products(few) == all_products(many)
    # and the first ones are the same in a larger store
    larger = all_products(small(products=1000))[:400]
    assert larger == all_products(few)[:400]


def test_a_store_of_a_day_goes_on_as_long_as_it_is_asked_for() -> None:
    stock = Stock(small(products=3, orders=20, days=1))
    assert [stock.products.table(day).num_rows for day in range(4)] == [3, 0, 0, 0]
    counts = [row for row in movements(stock, 20) if row["reason"] == "count"]
    assert {row["product_id"] for row in counts if row["day"] >= 13} == {1, 2, 3}
