"""The whole store: any table of any day is the same everywhere, and every row leads somewhere."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sprint_platform.storefront.contracts import BRONZE, BRONZE_TABLES
from sprint_platform.storefront.errors import StorefrontError
from sprint_platform.storefront.generation.store import Store
from sprint_platform.storefront.settings import GENERATION_VERSION, PRESETS, StoreSettings
from sprint_platform.title import Title, TitleError
from sprint_platform_tests import storefront_golden
from sprint_platform_tests.another_machine import digests_elsewhere
from sprint_platform_tests.storefront_golden import digest

Row = dict[str, Any]
SMALL = StoreSettings.model_validate(PRESETS["small"])
OPENING = SMALL.start
# the opening, its morrow, the preset's last day, and one after it
DAYS = [OPENING + timedelta(days=day) for day in (0, 1, 29, 40)]
JOBS = [(name, day) for name in BRONZE_TABLES for day in DAYS]


@cache
def alone(name: str, day: date) -> str:
    """The digest of a table's day in a store that was never asked for anything else."""
    return digest(Store(SMALL), name, day)


# -- the same records -------------------------------------------------------------------------


def test_golden_digests() -> None:
    recorded = json.loads(storefront_golden.PATH.read_text(encoding="utf-8"))
    assert recorded["generation_version"] == GENERATION_VERSION
    assert storefront_golden.digests() == recorded["digests"]


def test_other_processors_make_the_same_records() -> None:
    # settings are not looked up in the environment here
    surroundings = {"SPRINT_STORE_SEED": "7", "SPRINT_STORE_PRESET": "large"}
    made = digests_elsewhere("storefront_golden", **surroundings)
    recorded = json.loads(storefront_golden.PATH.read_text(encoding="utf-8"))
    assert made == recorded["digests"]


def test_a_day_is_the_same_forwards_and_backwards() -> None:
    store = Store(SMALL)
    for name, day in [*JOBS, *reversed(JOBS)]:
        assert digest(store, name, day) == alone(name, day), (name, day)
    backwards = Store(SMALL)
    for name, day in reversed(JOBS):
        assert digest(backwards, name, day) == alone(name, day), (name, day)


@given(order=st.permutations(JOBS))
@hypothesis_settings(max_examples=3)
def test_a_day_is_the_same_in_any_order(order: list[tuple[str, date]]) -> None:
    store = Store(SMALL)
    for name, day in order:
        assert digest(store, name, day) == alone(name, day), (name, day)


def test_a_day_far_away_changes_none() -> None:
    store = Store(SMALL)
    for name in BRONZE_TABLES:
        assert digest(store, name, date(2026, 12, 1)).startswith("v1-")
        assert digest(store, name, DAYS[2]) == alone(name, DAYS[2])


@pytest.mark.parametrize(
    "changed", [{"seed": 43}, {"seed": 2**40 + 42}, {"start": date(2025, 1, 2)}]
)
def test_another_store_has_other_records(changed: dict[str, Any]) -> None:
    other = Store(SMALL.model_copy(update=changed))
    assert other.source != Store(SMALL).source
    day = DAYS[2]
    for name in BRONZE_TABLES:
        assert digest(other, name, day) != alone(name, day), name


def test_how_many_rows_are_sent_at_a_time_changes_no_record() -> None:
    other = Store(SMALL.model_copy(update={"batch_size": 100}))
    assert other.source == Store(SMALL).source
    for name in BRONZE_TABLES:
        assert digest(other, name, DAYS[1]) == alone(name, DAYS[1])


def test_a_store_says_whose_players_it_has(titles_folder: Path) -> None:
    sprint, leap, nobody = (
        Store(SMALL.model_copy(update={"title": title})) for title in ("sprint", "leap", "")
    )
    assert len({sprint.source, leap.source, nobody.source}) == 3
    assert sprint.source == SMALL.fingerprint(Title.load("sprint").fingerprint)
    # a game whose records are landed simulates nobody
    (titles_folder / "attic.yaml").write_text(
        "name: attic\nlaunch_date: 2025-01-01\nseed: 1\nsource: landing\n"
        "encounters: {distance: 50, gap_seconds: 180}\n",
        encoding="utf-8",
    )
    landed = Store(SMALL.model_copy(update={"title": "attic"}))
    assert landed.source == nobody.source
    linked = [
        sum(
            len(part) - part["player_id"].null_count
            for part in store.table("raw_customers", OPENING)
        )
        for store in (sprint, leap, nobody, landed)
    ]
    assert min(linked[:2]) > 40
    assert linked[2:] == [0, 0]
    with pytest.raises(TitleError) as error:
        Store(SMALL.model_copy(update={"title": "unknown"}))
    assert "unknown" in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", list(BRONZE_TABLES))
def test_before_the_opening_there_is_nothing(name: str) -> None:
    with pytest.raises(StorefrontError) as error:
        list(Store(SMALL).table(name, date(2024, 12, 31)))
    assert str(error.value) == f"the store opens on 2025-01-01: there is no {name} of 2024-12-31"


# -- what the rows lead to --------------------------------------------------------------------

WHOLE = StoreSettings(customers=300, products=80, orders=700, days=25)
WEEKS_AFTER = 20


@pytest.fixture(scope="module")
def whole() -> dict[str, list[Row]]:
    """A whole store, and some weeks after it; the partition of each row beside it."""
    store = Store(WHOLE)
    days = [OPENING + timedelta(days=n) for n in range(WHOLE.days + WEEKS_AFTER)]
    return {
        name: [
            {**row, "partition": day}
            for day in days
            for part in store.table(name, day)
            for row in part.to_pylist()
        ]
        for name in BRONZE_TABLES
    }


def test_every_table_is_the_contracts(whole: dict[str, list[Row]]) -> None:
    for name, table in BRONZE_TABLES.items():
        for part in Store(WHOLE).table(name, OPENING + timedelta(days=20)):
            assert part.schema == table.arrow_schema
            part.validate(full=True)
        rows = whole[name]
        assert rows
        for column in table.columns:
            values = [row[column.name] for row in rows]
            assert column.nullable or None not in values
            present = {value for value in values if value is not None}
            assert present, f"{name}.{column.name} says nothing"
            assert column.values is None or present == set(column.values), (name, column.name)
            assert column.low is None or min(present) >= column.low
            if column.type == "text":
                assert "" not in present
            if column.type == "json":
                for text in present:
                    json.loads(text)
        keys = [tuple(row[column] for column in table.key) for row in rows]
        assert len(set(keys)) == len(keys), name


def test_duckdb_holds_a_table_and_who_delivered_its_rows() -> None:
    with duckdb.connect() as con:
        con.execute(f"create schema {BRONZE}")
        for name, table in BRONZE_TABLES.items():
            con.execute(table.create_table_sql(""))
            part = next(Store(WHOLE).table(name, OPENING))
            columns = ", ".join(table.column_names)
            con.execute(
                f"insert into {BRONZE}.{name} ({columns}, event_date)"
                f" select {columns}, date '{OPENING}' from part"
            )
            counted = con.execute(
                f"select source_system, count(ingestion_timestamp) from {BRONZE}.{name} group by 1"
            ).fetchall()
            assert counted == ([(table.source_system, len(part))] if len(part) else [])


# the time that says in which partition a row is
MOMENT = {
    "raw_customers": "registered_at",
    "raw_products": "added_at",
    "raw_orders": "status_at",
    "raw_inventory": "occurred_at",
    "raw_reviews": "reviewed_at",
    "raw_sessions": "started_at",
    "raw_clickstream": "occurred_at",
}


def test_a_partition_is_its_day(whole: dict[str, list[Row]]) -> None:
    assert list(MOMENT) == list(BRONZE_TABLES)
    for name, moment in MOMENT.items():
        assert all(row[moment].date() == row["partition"] for row in whole[name]), name


def by(rows: list[Row], column: str) -> dict[int, Row]:
    return {row[column]: row for row in rows}


def test_numbers_are_dense_and_reach_what_was_asked_for(whole: dict[str, list[Row]]) -> None:
    last = WHOLE.first_days[-1]
    for name, column, count in (
        ("raw_customers", "customer_id", WHOLE.customers),
        ("raw_products", "product_id", WHOLE.products),
        ("raw_orders", "order_id", WHOLE.orders),
    ):
        ids = {
            row[column]
            for row in whole[name]
            if row["partition"] <= last and row.get("status", "placed") == "placed"
        }
        assert ids == set(range(1, count + 1)), name
    sessions = sorted(row["session_id"] for row in whole["raw_sessions"])
    assert sessions == list(range(1, len(sessions) + 1))


def test_no_order_is_an_orphan(whole: dict[str, list[Row]]) -> None:
    customers = by(whole["raw_customers"], "customer_id")
    products = by(whole["raw_products"], "product_id")
    sessions = by(whole["raw_sessions"], "session_id")
    for row in whole["raw_orders"]:
        assert customers[row["customer_id"]]["registered_at"] < row["ordered_at"]
        for item in json.loads(row["items"]):
            assert products[item["product_id"]]["added_at"] <= row["ordered_at"]
        session = sessions[row["session_id"]]
        assert session["customer_id"] == row["customer_id"]
        assert session["started_at"] < row["ordered_at"] <= session["ended_at"]
        if row["status"] != "placed":
            assert row["ordered_at"] < row["status_at"]
    placed = [row["order_id"] for row in whole["raw_orders"] if row["status"] == "placed"]
    assert {row["order_id"] for row in whole["raw_orders"]} == set(placed)


def test_no_review_is_an_orphan(whole: dict[str, list[Row]]) -> None:
    customers = by(whole["raw_customers"], "customer_id")
    delivered = {r["order_id"]: r for r in whole["raw_orders"] if r["status"] == "delivered"}
    bought: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for order in delivered.values():
        for item in json.loads(order["items"]):
            bought[order["customer_id"], item["product_id"]].append(order)
    verified = 0
    for row in whole["raw_reviews"]:
        assert customers[row["customer_id"]]["registered_at"] < row["reviewed_at"]
        orders = bought[row["customer_id"], row["product_id"]]
        if row["verified_purchase"]:
            orders = [order for order in orders if order["order_id"] == row["order_id"]]
            verified += 1
        else:
            assert row["order_id"] is None
        assert any(order["status_at"] < row["reviewed_at"] for order in orders)
    assert 0 < verified < len(whole["raw_reviews"])


def test_no_movement_of_stock_is_an_orphan(whole: dict[str, list[Row]]) -> None:
    products = by(whole["raw_products"], "product_id")
    shipped = {r["order_id"]: r for r in whole["raw_orders"] if r["status"] == "shipped"}
    lines = {
        (number, item["line"]): (item["product_id"], -item["quantity"], order["status_at"])
        for number, order in shipped.items()
        for item in json.loads(order["items"])
    }
    left = {}
    for row in whole["raw_inventory"]:
        assert products[row["product_id"]]["added_at"] <= row["occurred_at"]
        if row["reason"] == "sale":
            moved = (row["product_id"], row["quantity"], row["occurred_at"])
            assert lines[row["order_id"], row["order_line"]] == moved
            left[row["order_id"], row["order_line"]] = moved
        else:
            assert row["order_id"] is None
    assert left == lines, "what is shipped leaves the stock"


def test_no_session_and_no_click_is_an_orphan(whole: dict[str, list[Row]]) -> None:
    customers = by(whole["raw_customers"], "customer_id")
    products = by(whole["raw_products"], "product_id")
    sessions = by(whole["raw_sessions"], "session_id")
    placed = {r["order_id"]: r for r in whole["raw_orders"] if r["status"] == "placed"}
    for row in whole["raw_sessions"]:
        if row["customer_id"] is not None:
            assert customers[row["customer_id"]]["registered_at"] <= row["started_at"]
    purchases = []
    for row in whole["raw_clickstream"]:
        session = sessions[row["session_id"]]
        assert session["started_at"] <= row["occurred_at"] <= session["ended_at"]
        if row["product_id"] is not None:
            assert products[row["product_id"]]["added_at"] <= row["occurred_at"]
        if row["order_id"] is not None:
            assert placed[row["order_id"]]["session_id"] == row["session_id"]
        if row["event_type"] == "purchase":
            assert placed[row["order_id"]]["ordered_at"] == row["occurred_at"]
            purchases.append(row["order_id"])
    assert sorted(purchases) == sorted(placed), "every order is one purchase"
    assert {row["session_id"] for row in whole["raw_clickstream"]} == set(sessions)
