"""The web store's models: every one against brute force, what a run of some days replaces, and what
the tests catch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
import yaml

from sprint_platform.places import dbt_project_dir
from sprint_platform.storefront.contracts import (
    BRONZE,
    BRONZE_TABLES,
    CATEGORIES,
    CHANNELS,
    DEVICES,
    DOMAIN,
    EVENT_TYPES,
    GENDERS,
    PAYMENT_METHODS,
    PAYMENT_STATUSES,
)
from sprint_platform.storefront.duckdb_target import LEDGER
from sprint_platform.storefront.generation.orders import SETTLED_WITHIN
from sprint_platform.storefront.generation.store import Store
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform_tests.dbt_runs import DbtRun, DbtWarehouse
from sprint_platform_tests.storefront_marts import (
    DAY,
    GOLD,
    MODELS,
    Bronze,
    Row,
    comparable,
    expected_models,
)

# Two months and a half: long enough for an order to be settled, and for a day that no run touches.
SETTINGS = StoreSettings(customers=150, products=60, orders=260, days=75, seed=7)
OPENING = SETTINGS.start
TITLE = "game"
NO_TITLE = "nowhere"


class StoreWarehouse(DbtWarehouse):
    """A database with the bronze tables of the web store."""

    def create_bronze(self) -> None:
        with self.connect() as con:
            con.execute(f"create schema if not exists {BRONZE}")
            for table in BRONZE_TABLES.values():
                con.execute(table.create_table_sql(DOMAIN))
            LEDGER.ensure(con)

    def deliver(self, records: Mapping[str, pa.Table], days: Iterable[date]) -> None:
        """Adds these days' records."""
        days = list(days)
        with self.connect() as con:
            con.register("days", pa.table({"day": days}))
            for name, rows in records.items():
                # one statement for all days: one for each took longer than the models
                con.register("records", rows)
                con.execute(
                    f"insert into {BRONZE_TABLES[name].relation(DOMAIN)} by name"
                    " select records.* from records semi join days on event_date = day"
                )
                con.execute(
                    f"insert into {LEDGER.loaded_table}"
                    " (dataset, partition_date, digest, rows, source)"
                    f" select '{name}', day, 'test', 0, 'test' from days"
                )

    def execute(self, *statements: str) -> None:
        with self.connect() as con:
            for statement in statements:
                con.execute(statement)

    def bronze(self) -> Bronze:
        """All rows of bronze; ``ingested`` says when, in microseconds."""
        columns = "* exclude (source_system, ingestion_timestamp)"
        ingested = "epoch_us(ingestion_timestamp) as ingested"
        return {
            name: self.rows(f"(select {columns}, {ingested} from {table.relation(DOMAIN)})")
            for name, table in BRONZE_TABLES.items()
        }

    def dbt_run(
        self,
        window: tuple[date, date] | None = None,
        command: str = "build",
        select: str = "tag:storefront",
        environment: Mapping[str, str] | None = None,
    ) -> DbtRun:
        """Builds and tests the store's models; ``window`` is half-open, None is everything."""
        variables = {
            "DBT_PROFILES_DIR": str(dbt_project_dir()),
            "SPRINT_DATA_DIR": str(self.folder),
            "SPRINT_STORE_TITLE": NO_TITLE,
        }
        if window:
            variables["SPRINT_WINDOW_START"], variables["SPRINT_WINDOW_END"] = map(str, window)
        return self.invoke(
            (command, "--select", select), {**variables, **(environment or {})}, DOMAIN
        )

    def models(self) -> dict[str, list[str]]:
        return {name: comparable(self.rows(relation)) for name, relation in MODELS.items()}


def assert_models(warehouse: StoreWarehouse, purchases: list[Row] | None = None) -> None:
    """Every model is what brute force makes of all that bronze holds."""
    expected = expected_models(warehouse.bronze(), purchases)
    built = warehouse.models()
    assert expected.keys() == built.keys()
    for name, rows in built.items():
        assert rows == comparable(expected[name]), name


@pytest.fixture(scope="module")
def records() -> dict[str, pa.Table]:
    """All days of every bronze table, made once."""
    store = Store(SETTINGS)
    return {
        name: pa.concat_tables(
            rows.append_column("event_date", pa.repeat(pa.scalar(day), rows.num_rows))
            for day in SETTINGS.first_days
            for rows in store.table(name, day)
        )
        for name in BRONZE_TABLES
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, records: dict[str, pa.Table]) -> StoreWarehouse:
    """All days, built and tested at once."""
    made = StoreWarehouse(tmp_path_factory.mktemp("store"))
    made.create_bronze()
    made.deliver(records, SETTINGS.first_days)
    run = made.dbt_run()
    assert not run.unsuccessful, run.messages
    return made


@pytest.fixture
def built(whole: StoreWarehouse) -> dict[str, list[str]]:
    """The rows of every model, of all days."""
    return whole.models()


@pytest.fixture
def emptied(whole: StoreWarehouse) -> Iterator[StoreWarehouse]:
    """The warehouse without a row, and as it was again after the test. In another folder dbt would
    parse everything anew."""
    database = whole.folder / "sprint.duckdb"
    before = shutil.move(database, whole.folder / "before.duckdb")
    whole.create_bronze()
    yield whole
    shutil.move(before, database)


@pytest.fixture
def changing(whole: StoreWarehouse) -> Iterator[StoreWarehouse]:
    """The warehouse, as it was again after the test."""
    database = whole.folder / "sprint.duckdb"
    before = shutil.copy(database, whole.folder / "before.duckdb")
    yield whole
    shutil.move(before, database)


# --- what is in them -----------------------------------------------------------------------------


def test_models_equal_brute_force(whole: StoreWarehouse) -> None:
    assert_models(whole)
    # the cases are there
    orders = whole.rows("silver.orders")
    statuses = {row["status"] for row in orders}
    assert {"paid", "shipped", "delivered", "returned", "cancelled"} <= statuses
    assert max(row["months_since"] for row in whole.rows("gold.customer_cohorts")) == 2
    assert {row["segment"] for row in whole.rows("gold.customer_lifetime_value")} >= {
        *("none", "one_time", "repeat")
    }
    assert any(row["new_customer_orders"] for row in whole.rows("gold.daily_sales"))


# what a table's later row says otherwise
CORRECTED = {
    "raw_customers": "upper(first_name) as first_name",
    "raw_products": "upper(brand) as brand",
    "raw_orders": "'store_credit' as payment_method",
    "raw_inventory": "quantity as quantity",
    "raw_reviews": "upper(title) as title",
    "raw_sessions": "upper(browser) as browser",
    "raw_clickstream": "upper(page_url) as page_url",
}


def test_repeated_and_corrected_rows_are_there_once(changing: StoreWarehouse) -> None:
    """What is delivered twice counts once; of rows that differ, the one that was ingested last."""
    for name, correction in CORRECTED.items():
        relation = BRONZE_TABLES[name].relation(DOMAIN)
        column = correction.rpartition(" ")[2]
        later = "ingestion_timestamp + interval 1 hour as ingestion_timestamp"
        earlier = f"null as raw_data, {later.replace('+', '-')}"
        january = f"from {relation} where event_date < '2025-01-20'"
        with changing.connect() as con:
            con.execute(
                f"create temp table more as select * {january}"
                f" union all select * replace ({correction}, {later}) {january}"
                f" union all select * replace ({column} as {column}, {earlier}) {january}"
            )
            con.execute(f"insert into {relation} select * from more")
    run = changing.dbt_run()
    assert not run.unsuccessful, run.messages
    assert_models(changing)
    brands = {row["product_id"]: row["brand"] for row in changing.rows("silver.products")}
    assert brands[1].isupper()


# --- what a run of some days replaces ------------------------------------------------------------


def window(first: int, end: int) -> tuple[date, date]:
    """From that day of the store up to, and without, the other."""
    return OPENING + first * DAY, OPENING + end * DAY


def test_days_in_any_order_come_to_the_same(
    built: dict[str, list[str]], emptied: StoreWarehouse, records: dict[str, pa.Table]
) -> None:
    """Loaded and built in parts: one day of a store that has no other, earlier ones, later ones,
    one by one and in ranges; each time, every test passes."""
    parts = emptied
    for first, end in ((40, 41), (73, 75), (20, 40), (41, 73), (0, 20)):
        days = SETTINGS.first_days[first:end]
        parts.deliver(records, days)
        run = parts.dbt_run((days[0], days[-1] + DAY))
        assert not run.unsuccessful, (days[0], run.messages)
        if first == 40:
            # of an order from before, its placement is not there yet
            assert {row["order_date"] for row in parts.rows("silver.orders")} <= {days[0]}
            assert parts.rows("gold.conversion_funnel")
    assert parts.models() == built


def test_days_of_a_loaded_store_are_built_in_any_order(
    built: dict[str, list[str]], emptied: StoreWarehouse, records: dict[str, pa.Table]
) -> None:
    """All is in bronze before the first run, as in a backfill that starts at its end."""
    parts = emptied
    parts.deliver(records, SETTINGS.first_days)
    for first, end in ((60, 75), (5, 6), (6, 60), (0, 5)):
        run = parts.dbt_run(window(first, end), "run")
        assert not run.unsuccessful, (first, run.messages)
        assert set(run.times_written.values()) == {1}, run.times_written
    assert parts.models() == built


def test_a_late_status_changes_its_orders_day_only(changing: StoreWarehouse) -> None:
    """An order comes back 29 days after it was placed: the run is about the day of the return."""
    order = next(
        row
        for row in changing.rows("silver.orders", "status = 'delivered'")
        if OPENING + 5 * DAY < row["order_date"] < OPENING + 30 * DAY
    )
    day = order["order_date"] + 29 * DAY
    before = {
        name: changing.rows(MODELS[name]) for name in ("orders", "order_items", "daily_sales")
    }
    changing.execute(
        "insert into bronze.raw_orders select * replace ('returned' as status,"
        f" timestamp '{day} 10:00:00' as status_at, 'refunded' as payment_status,"
        f" date '{day}' as event_date) from bronze.raw_orders"
        f" where order_id = {order['order_id']} and status = 'delivered'"
    )
    run = changing.dbt_run((day, day + DAY))
    assert not run.unsuccessful, run.messages
    assert_models(changing)
    for name, rows in before.items():
        after = changing.rows(MODELS[name])
        assert after != rows
        changed = [row for row in after if row not in rows]
        assert {row["order_date"] for row in changed} == {order["order_date"]}, name

    # the old day is built again, alone: what came after it is not lost
    built = changing.models()
    run = changing.dbt_run((order["order_date"], order["order_date"] + DAY), "run")
    assert not run.unsuccessful, run.messages
    assert changing.models() == built


def test_what_is_gone_from_bronze_is_gone_from_the_models(changing: StoreWarehouse) -> None:
    day = OPENING + 50 * DAY
    orders = (
        f"(select order_id from bronze.raw_orders where cast(ordered_at as date) = date '{day}')"
    )
    changing.execute(
        f"delete from bronze.raw_reviews where order_id in {orders}",
        f"delete from bronze.raw_clickstream where event_date = '{day}'",
        f"delete from bronze.raw_inventory where order_id in {orders}",
        f"delete from bronze.raw_orders where order_id in {orders}",
    )
    run = changing.dbt_run((day, OPENING + 75 * DAY), "run")
    assert not run.unsuccessful, run.messages
    assert_models(changing)
    assert not changing.rows("gold.daily_sales", f"order_date = '{day}'")


def test_days_as_a_customer_are_counted_to_the_given_day(changing: StoreWarehouse) -> None:
    """Else to the last day that is there, never to today."""
    as_of = OPENING + 200 * DAY
    environment = {"SPRINT_AS_OF": str(as_of)}
    run = changing.dbt_run(select="customer_lifetime_value", environment=environment)
    assert not run.unsuccessful, run.messages
    lifetimes = changing.rows("gold.customer_lifetime_value")
    assert lifetimes
    for row in lifetimes:
        assert row["days_as_customer"] == (as_of - row["registration_date"]).days


# --- players of the title ------------------------------------------------------------------------


def test_players_spend_in_the_game_and_in_the_store(changing: StoreWarehouse) -> None:
    """While the title has no purchases, nothing is known of them; after that, they are counted."""
    environment = {"SPRINT_STORE_TITLE": TITLE}
    linked = changing.rows("gold.player_value")
    assert linked
    assert not any(row["in_game_known"] or row["in_game_spending"] for row in linked)
    buyers = [row for row in linked if row["store_orders"]]
    assert buyers

    transactions = DATASETS["transactions"]
    changing.execute(f"create schema {TITLE}_raw", transactions.create_table_sql(TITLE))
    run = changing.dbt_run(select="player_value", environment=environment)
    assert not run.unsuccessful, run.messages
    assert changing.rows("gold.player_value") == linked

    # one bought in the game before the store, one after; and a stranger to the store did
    earlier, later = buyers[0], buyers[1]
    stranger = UUID(int=1)
    for player, at in (
        (earlier["player_id"], earlier["first_store_at"] - DAY),
        (earlier["player_id"], earlier["first_store_at"] + DAY),
        (later["player_id"], later["first_store_at"] + DAY),
        (stranger, OPENING),
    ):
        changing.execute(
            f"insert into {transactions.relation(TITLE)} by name select uuid() as transaction_id,"
            f" uuid '{player}' as player_id, timestamp '{at}' as event_datetime,"
            " 'SKU-1000' as purchase_item, 9.99 as purchase_price, 'USD' as currency,"
            " false as is_recurring, 'Skin' as transaction_type, date '2025-01-05' as event_date"
        )
    run = changing.dbt_run(select="player_value", environment=environment)
    assert not run.unsuccessful, run.messages
    assert_models(changing, changing.rows(transactions.relation(TITLE)))
    found = {row["player_id"]: row for row in changing.rows("gold.player_value")}
    assert all(row["in_game_known"] for row in found.values())
    assert found[earlier["player_id"]]["in_game_spending"] == Decimal("19.98")
    assert found[earlier["player_id"]]["first_purchase_in"] == "game"
    assert found[later["player_id"]]["first_purchase_in"] == "store"
    assert stranger not in found


# --- what the tests catch ------------------------------------------------------------------------

EARLY = "2025-02-01"
DATED = {
    **dict.fromkeys(MODELS, "event_date"),
    **{"orders": "order_date", "order_items": "order_date", "daily_sales": "order_date"},
    **{"daily_stock": "stock_date", "stock_on_hand": "stock_date"},
}
WHOLE = (
    *("product_performance", "customer_lifetime_value", "customer_cohorts", "review_summary"),
    "player_value",
)


def early(model: str) -> str:
    """The condition for early rows of the model; for any, where it has no days."""
    return "true" if model in WHOLE else f"{DATED[model]} < '{EARLY}'"


def doubled(model: str) -> str:
    """The statement that repeats a row of the model."""
    relation = MODELS[model]
    return f"insert into {relation} select * from {relation} where {early(model)} limit 1"


def spoilt(model: str, assignment: str, also: str = "true") -> str:
    """The statement that makes early rows of the model wrong."""
    return f"update {MODELS[model]} set {assignment} where {early(model)} and {also}"


def orphaned(parent: str, key: str, child: str) -> str:
    """The statement that takes a parent away from the child's rows."""
    named = f"select min({key}) from {MODELS[child]} where {key} > 1"
    return f"delete from {MODELS[parent]} where {key} = ({named})"


# by the test that is to find it
FAULTS = {
    "customers_rows": spoilt("customers", "email = 'nobody'"),
    "products_rows": spoilt("products", "unit_cost = list_price"),
    "orders_rows": spoilt("orders", "total = total + 1"),
    "order_items_rows": spoilt("order_items", "quantity = quantity + 1"),
    "inventory_movements_rows": spoilt("inventory_movements", "stock_after = -1"),
    "reviews_rows": spoilt("reviews", "rating = 6"),
    "sessions_rows": spoilt("sessions", "ended_at = ended_at + interval 1 day"),
    "clickstream_rows": spoilt("clickstream", "event_type = 'bow'"),
    "daily_stock_rows": spoilt("daily_stock", "closing_stock = -1"),
    "daily_sales_rows": spoilt("daily_sales", "customers = orders + 1"),
    "product_performance_rows": spoilt("product_performance", "margin = revenue + 1"),
    "customer_lifetime_value_rows": spoilt("customer_lifetime_value", "orders = orders + 1"),
    "customer_cohorts_rows": spoilt("customer_cohorts", "active_customers = customers + 1"),
    "conversion_funnel_rows": spoilt("conversion_funnel", "carts = product_views + 1"),
    "review_summary_rows": spoilt("review_summary", "five_star_share = 2"),
    "player_value_rows": spoilt("player_value", "total_spending = total_spending + 1"),
    "order_items_reconciles": spoilt("order_items", "discount = discount + 1"),
    "daily_sales_reconciles": spoilt("daily_sales", "revenue = revenue + 1"),
    "product_performance_reconciles": spoilt("product_performance", "pieces = pieces + 1"),
    "customer_cohorts_reconciles": spoilt("customer_cohorts", "revenue = revenue + 1"),
    "customer_cohorts_size_reconciles": spoilt("customer_cohorts", "customers = customers + 1"),
    "conversion_funnel_reconciles": spoilt("conversion_funnel", "sessions = sessions + 1"),
    "review_summary_reconciles": spoilt("review_summary", "reviews = reviews + 1"),
    "player_value_reconciles": spoilt("player_value", "store_spending = store_spending + 1"),
    # a product that is there twice has its stock twice
    "stock_on_hand_reconciles": "insert into silver.products select * from silver.products limit 1",
    "stock_on_hand_key": "insert into silver.daily_stock select * from silver.daily_stock limit 1",
    "orders_have_their_customer": orphaned("customers", "customer_id", "orders"),
    "orders_have_their_session": orphaned("sessions", "session_id", "orders"),
    "items_have_their_product": orphaned("products", "product_id", "order_items"),
    "movements_have_their_product": orphaned("products", "product_id", "inventory_movements"),
    "movements_have_their_order_line": orphaned("order_items", "order_id", "inventory_movements"),
    "reviews_have_their_customer": orphaned("customers", "customer_id", "reviews"),
    "reviews_have_their_product": orphaned("products", "product_id", "reviews"),
    "reviews_have_their_order_line": orphaned("order_items", "order_id", "reviews"),
    "sessions_have_their_customer": orphaned("customers", "customer_id", "sessions"),
    "events_have_their_product": orphaned("products", "product_id", "clickstream"),
    "orders_begin_with_their_placement": orphaned("orders", "order_id", "order_items"),
    "orders_pass_through_every_status": spoilt("orders", "paid_at = null"),
    "orders_follow_registration": "update silver.customers set registered_at = '2025-03-15'",
    "orders_lie_in_their_session": spoilt("orders", "customer_id = customer_id + 1"),
    "products_sell_once_added": "update silver.products set added_at = '2025-03-15'",
    "reviews_follow_delivery": spoilt("reviews", "reviewed_at = reviewed_at - interval 40 day"),
    "events_lie_in_their_session": spoilt("sessions", "ended_at = started_at"),
    "events_follow_their_number": spoilt(
        "clickstream", "sequence_number = 9", "sequence_number = 2"
    ),
    "purchases_are_orders": spoilt("clickstream", "order_id = null"),
    "stock_adds_up": spoilt("inventory_movements", "quantity = quantity + 1", "reason = 'restock'"),
    "stock_closes_with_the_last_movement": spoilt("daily_stock", "closing_stock = 9999"),
    "stock_is_known_of_every_product": (
        f"delete from silver.daily_stock where product_id = 4 and stock_date < '{EARLY}'"
    ),
    "lifetimes_are_the_orders": spoilt("customer_lifetime_value", "revenue = revenue + 1"),
    "conversions_are_the_purchases": spoilt("conversion_funnel", "purchases = purchases + 1"),
    "cohorts_add_up": spoilt("customer_cohorts", "cumulative_revenue = cumulative_revenue + 1"),
    **{f"{model}_key": doubled(model) for model in MODELS if model != "stock_on_hand"},
}


def data_tests(warehouse: StoreWarehouse, days: tuple[date, date] | None = None) -> dict[str, str]:
    """The query of every data test, in a run of these days: its rows are what is wrong."""
    assert warehouse.dbt_run(days, "compile").success
    compiled = warehouse.folder / "dbt" / DOMAIN / "compiled" / "sprint_dbt"
    tests = [*(compiled / "tests" / DOMAIN).glob("*.sql")]
    tests += (compiled / "models" / DOMAIN).glob("*/*.yml/*.sql")
    return {path.stem: path.read_text(encoding="utf-8") for path in tests}


def test_every_data_test_finds_its_fault(whole: StoreWarehouse) -> None:
    """Each fault alone; and where it is about early days, a run of later ones does not see it."""
    tests = data_tests(whole)
    later = data_tests(whole, (OPENING + 73 * DAY, OPENING + 75 * DAY))
    assert tests.keys() == later.keys() == FAULTS.keys()

    with whole.connect() as con:
        for name, fault in FAULTS.items():
            assert not con.execute(tests[name]).fetchall(), name
            con.begin()
            changed = con.execute(fault).fetchall()[0][0]
            assert changed, name
            assert con.execute(tests[name]).fetchall(), name
            if EARLY in fault:
                assert not con.execute(later[name]).fetchall(), name
            con.rollback()


# by relationship test: the parents, the day and the number of one, and the children
RELATIONSHIPS = {
    "orders_have_their_customer": ("customers", "customer_id", "orders"),
    "orders_have_their_session": ("sessions", "session_id", "orders"),
    "items_have_their_product": ("products", "product_id", "order_items"),
    "movements_have_their_product": ("products", "product_id", "inventory_movements"),
    "movements_have_their_order_line": ("order_items", "order_id", "inventory_movements"),
    "reviews_have_their_customer": ("customers", "customer_id", "reviews"),
    "reviews_have_their_product": ("products", "product_id", "reviews"),
    "reviews_have_their_order_line": ("order_items", "order_id", "reviews"),
    "sessions_have_their_customer": ("customers", "customer_id", "sessions"),
    "events_have_their_product": ("products", "product_id", "clickstream"),
}
# what the history of the store is looked at for: a fault, and what it spoils
IN_HISTORY = {
    "orders_pass_through_every_status": (
        "update silver.orders set paid_at = null where shipped_at is not null"
        " and order_date between '2025-02-10' and '2025-02-12' returning order_id"
    ),
    "reviews_follow_delivery": (
        "update silver.orders set delivered_at = null where order_id in"
        " (select order_id from silver.reviews) and order_date > '2025-02-08' returning order_id"
    ),
    "stock_adds_up": (
        "update silver.inventory_movements set quantity = quantity + 1"
        " where reason = 'restock' and event_date > '2025-02-09' returning movement_id"
    ),
    "stock_is_known_of_every_product": (
        "delete from silver.daily_stock where product_id = 4"
        " and stock_date between '2025-02-10' and '2025-02-12' returning stock_date"
    ),
    "cohorts_add_up": "delete from gold.customer_cohorts where months_since = 1 returning 1",
}


def test_a_missing_day_hides_only_what_may_be_of_it(
    built: dict[str, list[str]], emptied: StoreWarehouse, records: dict[str, pa.Table]
) -> None:
    """With two days missing every test passes, and finds its fault on the other days; what looks
    back on a missing day is null, until it is delivered."""
    missing = [OPENING + 12 * DAY, OPENING + 30 * DAY]
    emptied.deliver(records, [day for day in SETTINGS.first_days if day not in missing])
    run = emptied.dbt_run()
    assert not run.unsuccessful, run.messages
    assert_models(emptied)
    stock = emptied.rows("gold.stock_on_hand")
    unknown = {row["stock_date"] for row in stock if row["closing_stock"] is None}
    assert unknown == {day + n * DAY for day in missing for n in range(1, 6)}
    totals = {
        (row["cohort_month"].month, row["months_since"]): row["cumulative_revenue"]
        for row in emptied.rows("gold.customer_cohorts")
    }
    assert {key for key, total in totals.items() if total is None} == {(1, 0), (1, 1), (1, 2)}

    tests = data_tests(emptied)
    with emptied.connect() as con:
        for name, (parent, key, child) in RELATIONSHIPS.items():
            con.begin()
            # neither first nor last of its day, so that a day which is there holds its number
            within = (
                f"select {key} from {MODELS[parent]} window day as (partition by {DATED[parent]})"
                f" qualify {key} > min({key}) over day and {key} < max({key}) over day"
            )
            deleted = con.execute(
                f"delete from {MODELS[parent]} where {key} in ({within}) returning {key}"
            ).fetchall()
            con.register("deleted_numbers", pa.table({"number": [row[0] for row in deleted]}))
            orphans = con.execute(
                f"select count(*) from {MODELS[child]} where {key} in (from deleted_numbers)"
            ).fetchall()[0][0]
            found = con.execute(tests[name]).fetchall()
            con.rollback()
            assert orphans > 1, name
            assert len(found) == orphans, name
        for name, fault in IN_HISTORY.items():
            con.begin()
            assert con.execute(fault).fetchall(), name
            found = con.execute(tests[name]).fetchall()
            con.rollback()
            assert found, name

    for day in missing:
        emptied.deliver(records, [day])
        run = emptied.dbt_run((day, day + DAY))
        assert not run.unsuccessful, run.messages
    assert emptied.models() == built


# --- what is promised ----------------------------------------------------------------------------


def described_models() -> dict[str, dict[str, Any]]:
    """What the YAML files say of each model."""
    folder = dbt_project_dir() / "models" / DOMAIN
    files = [path for path in folder.rglob("*.yml") if path.name != "sources.yml"]
    return {
        model["name"]: model
        for path in files
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    }


def test_sources_are_the_contracts_tables() -> None:
    path = dbt_project_dir() / "models" / DOMAIN / "sources.yml"
    sources = {s["name"]: s for s in yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]}
    tables = {table["name"]: table for table in sources["bronze"]["tables"]}
    assert tables.keys() == BRONZE_TABLES.keys()
    for name, table in BRONZE_TABLES.items():
        columns = {column["name"]: column["data_type"] for column in tables[name]["columns"]}
        assert columns == {
            **{column.name: column.duckdb_type for column in table.columns},
            "event_date": "date",
            "source_system": "varchar",
            "ingestion_timestamp": "timestamp with time zone",
        }, name
    transactions = DATASETS["transactions"]
    (table,) = sources["store_title"]["tables"]
    assert {column["name"]: column["data_type"] for column in table["columns"]} == {
        **{column.name: column.duckdb_type for column in transactions.columns},
        "event_date": "date",
    }


def test_the_words_that_are_known_are_the_contracts() -> None:
    known = {}
    for model in described_models().values():
        for test in model["data_tests"]:
            for rule, condition in (
                test.get("valid_rows", {}).get("arguments", {}).get("rules", {}).items()
            ):
                if rule.endswith(" known"):
                    known[model["name"], rule] = re.findall(r"'([^']+)'", condition)
    assert known == {
        ("customers", "the gender is known"): list(GENDERS),
        ("products", "the category is known"): list(CATEGORIES),
        ("orders", "payment is known"): [*PAYMENT_METHODS, *PAYMENT_STATUSES],
        ("sessions", "the device is known"): list(DEVICES),
        ("sessions", "the channel is known"): list(CHANNELS),
        ("clickstream", "the event is known"): list(EVENT_TYPES),
    }


def test_orders_are_built_anew_until_they_are_settled() -> None:
    metas = {
        name: model["config"].get("meta", {})
        for name, model in described_models().items()
        if "config" in model
    }
    back = {name: meta["back_days"] for name, meta in metas.items() if "back_days" in meta}
    assert back == dict.fromkeys(("orders", "order_items", "daily_sales"), SETTLED_WITHIN)
    macro = dbt_project_dir() / "macros" / "store_history.sql"
    assert f"{{{{ return({SETTLED_WITHIN}) }}}}" in macro.read_text(encoding="utf-8")


def test_every_model_says_what_one_row_is() -> None:
    folder = dbt_project_dir() / "models" / DOMAIN
    models = {path.stem: path for path in folder.rglob("*.sql")}
    assert models.keys() == described_models().keys() == MODELS.keys()
    for name, path in models.items():
        assert path.read_text(encoding="utf-8").startswith("-- One row is "), name
        assert described_models()[name]["description"].startswith("One row is "), name
    assert {path.parent.name for path in models.values()} == {"silver", "gold"}
    assert {name for name, path in models.items() if path.parent.name == "gold"} == set(GOLD)
