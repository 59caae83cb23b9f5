"""The store in the graph: any day of any table, ranges, runs that were cut short, the models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.storefront_assets import opening_day
from sprint_platform.places import published_dir
from sprint_platform.storage.partitions import read_manifest
from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform.storefront.files import write_day
from sprint_platform.storefront.generation.inventory import WEEK
from sprint_platform.storefront.generation.orders import SETTLED_WITHIN
from sprint_platform.storefront.generation.store import Store
from sprint_platform.storefront.held import noted_settings, source_of
from sprint_platform.storefront.settings import PRESETS, StoreSettings
from sprint_platform.transform.dbt_manifest import graph_manifest
from sprint_platform_tests.command_line import run_sprint

EVERYTHING = dg.AssetSelection.key_prefixes("storefront")
RAW = dg.AssetSelection.assets(*(["storefront", name] for name in BRONZE_TABLES))
SETTINGS = {
    "SPRINT_STORE_CUSTOMERS": "300",
    "SPRINT_STORE_PRODUCTS": "100",
    "SPRINT_STORE_ORDERS": "400",
    "SPRINT_STORE_DAYS": "20",
}
GOLD = {
    "daily_sales",
    "product_performance",
    "customer_lifetime_value",
    "customer_cohorts",
    "conversion_funnel",
    "stock_on_hand",
    "review_summary",
    "player_value",
}


@dataclass(frozen=True)
class Graph:
    """The whole graph, over a data folder of its own."""

    definitions: dg.Definitions

    def run(
        self, selection: dg.AssetSelection, first: str | None, last: str | None = None
    ) -> dg.ExecuteInProcessResult:
        """A run of the selection for a day, a range of days, or none."""
        tags = {}
        if last is not None:
            tags = {
                ASSET_PARTITION_RANGE_START_TAG: str(first),
                ASSET_PARTITION_RANGE_END_TAG: last,
            }
        return dg.materialize(
            [a for a in self.definitions.assets or [] if isinstance(a, dg.AssetsDefinition)],
            selection=selection,
            partition_key=first if last is None else None,
            tags=tags,
            resources={"warehouse": Warehouse(lease_timeout_seconds=60.0)},
            raise_on_error=False,
        )


@pytest.fixture(scope="module")
def _definitions(_path_of_parsed_data: Path) -> dg.Definitions:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(_path_of_parsed_data))
        patch.delenv("SPRINT_TITLES_DIR", raising=False)
        return build_definitions()


@pytest.fixture
def definitions(
    _definitions: dg.Definitions, parsed_data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dg.Definitions:
    """The whole graph, with an empty data folder."""
    monkeypatch.delenv("SPRINT_TITLES_DIR", raising=False)
    return _definitions


@pytest.fixture
def graph(definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch) -> Graph:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return Graph(definitions)


def rows(sql: str) -> list[tuple]:
    with connect() as con:
        return con.execute(sql).fetchall()


def failure(run: dg.ExecuteInProcessResult) -> str:
    """The lines with which the run's steps failed."""
    events = [e for e in run.all_events if e.is_step_failure]
    return " ".join(str(e.step_failure_data.error_display_string) for e in events)


@pytest.mark.parametrize("name", ["raw_orders", "daily_sales"])
def test_a_range_that_runs_backwards_is_refused_in_one_line(graph: Graph, name: str) -> None:
    run = graph.run(dg.AssetSelection.assets(["storefront", name]), "2025-01-03", "2025-01-01")
    message = "the range 2025-01-03...2025-01-01 runs backwards: give 2025-01-01...2025-01-03"
    assert failure(run) == message


def test_one_day_by_name_in_an_empty_folder_then_a_range(graph: Graph) -> None:
    alone = graph.run(EVERYTHING, "2025-01-09")
    assert alone.success, failure(alone)
    made = {e.asset_key.path[-1] for e in alone.get_asset_materialization_events() if e.asset_key}
    assert set(BRONZE_TABLES) | GOLD <= made
    days = rows("select distinct event_date from bronze.raw_sessions")
    assert days == [(date(2025, 1, 9),)]
    checks = alone.get_asset_check_evaluations()
    assert len(checks) > 50
    assert all(check.passed for check in checks)

    whole = graph.run(EVERYTHING, "2025-01-01", "2025-01-12")
    assert whole.success, failure(whole)
    sessions = rows("select count(*) from bronze.raw_sessions")[0][0]
    seen = rows("select sum(sessions) from gold.conversion_funnel")[0][0]
    assert sessions == seen > 0
    with duckdb.connect(str(published_dir() / "sprint.duckdb"), read_only=True) as con:
        published = con.execute(
            "select sum(sessions) from storefront_mart.conversion_funnel"
        ).fetchone()
        views = {
            row[0]
            for row in con.execute(
                "select view_name from duckdb_views() where schema_name = 'storefront_mart'"
            ).fetchall()
        }
    assert published == (seen,)
    assert views == GOLD


def test_the_store_of_dagster_is_that_of_the_command_line(graph: Graph) -> None:
    run = graph.run(dg.AssetSelection.assets(["storefront", "raw_orders"]), "2025-01-03")
    assert run.success, failure(run)
    metadata = run.get_asset_materialization_events()[0].materialization.metadata
    store = Store(StoreSettings(customers=300, products=100, orders=400, days=20))
    day = date(2025, 1, 3)
    assert metadata["digest"].value == write_day(store, "raw_orders", day).digest
    # only what was selected
    assert rows("select count(*) from bronze.raw_customers") == [(0,)]


@pytest.mark.parametrize("noted", [True, False])
def test_a_run_goes_on_with_the_store_that_the_command_line_loaded(
    definitions: dg.Definitions, noted: bool
) -> None:
    assert not any(name.startswith("SPRINT_STORE_") for name in os.environ)
    generate = ["storefront", "generate", "--preset", "small", "--load"]
    made = run_sprint([*generate, "--to", "2025-01-02"], dict(os.environ))
    assert made.returncode == 0, made.stderr
    if not noted:
        # as the version before left it
        with connect() as con:
            con.execute("alter table bronze.loaded_store drop settings")
    run = Graph(definitions).run(RAW, "2025-01-31")
    assert run.success, failure(run)
    small = StoreSettings.model_validate(PRESETS["small"])
    assert rows("select distinct source from bronze.loaded_partitions") == [(source_of(small),)]
    [(settings,)] = rows("select settings from bronze.loaded_store")
    assert noted_settings(settings) == small


def test_files_of_a_store_that_is_not_loaded_are_not_written_over(graph: Graph) -> None:
    day = date(2025, 1, 3)
    trial = Store(StoreSettings(customers=30, products=10, orders=40, days=20))
    file = write_day(trial, "raw_orders", day)
    run = graph.run(RAW, "2025-01-02", "2025-01-03")
    assert not run.success
    assert "holds 1 partitions of a store with other settings" in failure(run)
    assert read_manifest("storefront", "raw_orders", day, BRONZE_TABLES["raw_orders"]) == file
    # a day is asked for its own files
    assert graph.run(RAW, "2025-01-02").success


def test_models_name_the_days_that_are_not_there(graph: Graph) -> None:
    assert graph.run(RAW, "2025-01-01", "2025-01-02").success
    products = dg.AssetSelection.assets(["storefront", "products"]).without_checks()
    run = graph.run(products, "2025-01-01", "2025-01-04")
    assert not run.success
    assert (
        "storefront/raw_products for 2025-01-03 (and 1 more, up to 2025-01-04) is not there:"
        " materialize storefront/raw_products for 2025-01-03...2025-01-04 first"
    ) in failure(run)


def test_a_run_that_was_cut_short_before_loading_is_noticed(graph: Graph) -> None:
    assert graph.run(RAW, "2025-01-01").success
    # another version of the day is written, and the run dies before it loads
    store = Store(StoreSettings(customers=300, products=100, orders=400, days=20, seed=7))
    write_day(store, "raw_sessions", date(2025, 1, 1))
    run = graph.run(dg.AssetSelection.assets(["storefront", "sessions"]), "2025-01-01")
    assert not run.success
    assert "storefront/raw_sessions for 2025-01-01 was made, but not loaded" in failure(run)


def test_other_settings_are_refused_in_one_line_before_a_file_is_written_over(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert graph.run(RAW, "2025-01-01").success
    before = rows("select count(*) from bronze.raw_orders")
    file = read_manifest("storefront", "raw_orders", date(2025, 1, 1), BRONZE_TABLES["raw_orders"])
    monkeypatch.setenv("SPRINT_STORE_SEED", "43")
    run = graph.run(RAW, "2025-01-01", "2025-01-02")
    assert not run.success
    assert "bronze holds 1 days of a store with other settings" in failure(run)
    assert rows("select count(*) from bronze.raw_orders") == before
    assert (
        read_manifest("storefront", "raw_orders", date(2025, 1, 1), BRONZE_TABLES["raw_orders"])
        == file
    )
    monkeypatch.setenv("SPRINT_STORE_ORDERS", "many")
    run = graph.run(RAW, "2025-01-02")
    assert "SPRINT_STORE_ORDERS is 'many'" in failure(run)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPRINT_STORE_SEED", "abc"),
        ("SPRINT_STORE_PRESET", "huge"),
        ("SPRINT_STORE_TITLE", "Bad-Name"),
        ("SPRINT_STORE_TITLE", ""),
    ],
)
def test_a_wrong_setting_of_the_store_leaves_the_games_their_graph(
    parsed_data_folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.delenv("SPRINT_TITLES_DIR", raising=False)
    monkeypatch.setenv(variable, value)
    keys = build_definitions().resolve_asset_graph()
    assert dg.AssetKey(["sprint", "heartbeats"]) in keys.get_all_asset_keys()
    stands_on = keys.get(dg.AssetKey(["storefront", "player_value"])).parent_keys
    of_the_game = dg.AssetKey(["sprint", "transactions"])
    assert (of_the_game in stands_on) == (variable != "SPRINT_STORE_TITLE")


@pytest.mark.parametrize(
    ("said", "day"), [("2024-06-01", "2024-06-01"), ("", "2025-01-01"), ("soon", "2025-01-01")]
)
def test_the_first_partition_is_the_day_on_which_the_store_opens(
    monkeypatch: pytest.MonkeyPatch, said: str, day: str
) -> None:
    monkeypatch.setenv("SPRINT_STORE_START", said)
    assert opening_day() == date.fromisoformat(day)


def test_player_value_is_backfilled_before_its_game_was_launched(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    mapping = graph.get_partition_mapping(
        dg.AssetKey(["storefront", "player_value"]), dg.AssetKey(["sprint", "transactions"])
    )
    assert isinstance(mapping, dg.AllPartitionMapping)


def test_how_far_a_day_reaches_is_said_alike_everywhere(parsed_data_folder: Path) -> None:
    nodes = graph_manifest()["nodes"].values()
    metas = {
        node["name"]: node["config"]["meta"]
        for node in nodes
        if node["resource_type"] == "model" and "storefront" in node["tags"]
    }
    reach = {(meta.get("back_days", 0), meta.get("forward_days", 0)) for meta in metas.values()}
    assert metas["orders"]["back_days"] == SETTLED_WITHIN
    assert metas["daily_stock"]["forward_days"] == WEEK - 1
    assert max(back for back, _ in reach) == SETTLED_WITHIN
    assert max(forward for _, forward in reach) == WEEK - 1


def test_a_failing_check_holds_back_what_stands_on_it(graph: Graph) -> None:
    assert graph.run(RAW, "2025-01-01").success
    with connect() as con:
        con.execute("update bronze.raw_sessions set session_id = 1 where event_date is not null")
        con.execute("update bronze.raw_sessions set ended_at = started_at - interval 1 day")
    run = graph.run(EVERYTHING - RAW, "2025-01-01")
    assert not run.success
    built = {e.asset_key.path[-1] for e in run.get_asset_materialization_events() if e.asset_key}
    assert "conversion_funnel" not in built
    assert "customers" in built
