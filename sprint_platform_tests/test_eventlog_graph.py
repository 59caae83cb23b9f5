"""The event log in the graph: batches as partitions, their settings, runs that were cut short."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.files import batch_dir, read_table_file, write_table
from sprint_platform.eventlog.settings import BatchSettings
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.eventlog_models import eventlog_translator
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.places import project_root, published_dir
from sprint_platform.transform.dbt_manifest import domain_of, graph_manifest

MODELS = {
    "stg_players",
    "stg_sessions",
    "stg_game_events",
    "dim_players",
    "fct_sessions",
    "fct_game_events",
    "daily_active_players",
    "funnel_sessions",
    "funnel_chapters",
    "retention",
}
EVERYTHING = dg.AssetSelection.groups("eventlog")


@dataclass(frozen=True)
class Graph:
    """The whole graph, over a data folder of its own; batch 1 is built, of forty players."""

    definitions: dg.Definitions

    def run(
        self,
        selection: dg.AssetSelection,
        first: int | None = None,
        last: int | None = None,
        **settings: Any,
    ) -> dg.ExecuteInProcessResult:
        """A run of the selection for a batch, a range of batches, or none."""
        tags = {}
        if last is not None:
            tags = {
                ASSET_PARTITION_RANGE_START_TAG: str(first),
                ASSET_PARTITION_RANGE_END_TAG: str(last),
            }
        config = {"ops": {"eventlog_raw_players": {"config": settings}}} if settings else {}
        return dg.materialize(
            [a for a in self.definitions.assets or [] if isinstance(a, dg.AssetsDefinition)],
            selection=selection,
            partition_key=str(first) if last is None and first is not None else None,
            tags=tags,
            run_config=config,
            resources={"warehouse": Warehouse()},
            raise_on_error=False,
        )


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(tmp_path_factory.mktemp("eventlog")))
        patch.setenv("DAGSTER_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("SPRINT_TITLES_DIR", raising=False)
        graph = Graph(build_definitions())
        built = graph.run(EVERYTHING, 1, players=40)
        assert built.success, failures(built)
        yield graph


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["eventlog", name])


def assets(*names: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(key(name) for name in names))


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The failed steps' messages."""
    return {
        str(event.step_key): event.step_failure_data.error.message
        for event in result.get_step_failure_events()
        if event.step_failure_data.error
    }


def rows(table: str) -> dict[int, int]:
    """The table's rows by batch."""
    with connect() as con:
        found = con.execute(f"select load_batch_id, count(*) from {table} group by 1 order by 1")
        return dict(found.fetchall())


def published(query: str) -> list[tuple]:
    with duckdb.connect(str(published_dir() / "sprint.duckdb"), read_only=True) as con:
        return con.execute(query).fetchall()


def materialized(result: dg.ExecuteInProcessResult, name: str) -> dict[str, Any]:
    """The metadata of the asset's last materialization in the run."""
    events = result.asset_materializations_for_node(name)
    return {label: value.value for label, value in events[-1].metadata.items()}


def test_raw_tables_and_models_are_one_group_of_the_graph(graph: Graph) -> None:
    found = graph.definitions.resolve_asset_graph()
    keys = {k for k in found.get_all_asset_keys() if found.get(k).group_name == "eventlog"}
    assert {k.path[-1] for k in keys} == MODELS | set(RAW_TABLES)
    assert {k.path[0] for k in keys} == {"eventlog"}
    assert found.get(key("raw_game_events")).parent_keys == {
        key("raw_players"),
        key("raw_sessions"),
    }
    assert key("raw_players") in found.get_ancestor_asset_keys(key("retention"))
    for k in keys:
        node = found.get(k)
        assert node.is_executable, k
        assert node.owners, k
        assert node.description, k
        assert node.backfill_policy == dg.BackfillPolicy.single_run()
        partitions = node.partitions_def
        assert partitions is not None
        assert list(partitions.get_partition_keys())[:2] == ["1", "2"]
        assert len(partitions.get_partition_keys()) == 999


def test_every_test_of_dbt_is_a_check(graph: Graph) -> None:
    tests = {
        node["name"]
        for node in graph_manifest()["nodes"].values()
        if node["resource_type"] == "test" and domain_of(node) == "eventlog"
    }
    found = graph.definitions.resolve_asset_graph().asset_check_keys
    assert {k.name for k in found if k.asset_key.path[0] == "eventlog"} == tests
    assert len(tests) > 25


def test_the_job_has_a_step_per_raw_table_and_one_for_dbt(graph: Graph) -> None:
    job = graph.definitions.resolve_job_def("eventlog_batch")
    steps = {f"eventlog_{table}" for table in RAW_TABLES} | {"eventlog_dbt"}
    assert {node.name for node in job.nodes} == steps


def test_a_batch_fills_every_table_and_is_published(graph: Graph) -> None:
    assert rows("eventlog_raw.raw_players")[1] == 40
    assert rows("eventlog_mart.fct_sessions")[1] == rows("eventlog_raw.raw_sessions")[1]
    assert rows("eventlog_mart.fct_game_events")[1] == rows("eventlog_raw.raw_game_events")[1]
    marts = MODELS - {"stg_players", "stg_sessions", "stg_game_events"}
    views = published(
        "select table_name from information_schema.tables where table_schema = 'eventlog_mart'"
    )
    assert {name for (name,) in views} == marts
    events = published("select count(*) from eventlog_mart.fct_game_events where load_batch_id = 1")
    assert events == [(rows("eventlog_raw.raw_game_events")[1],)]


def test_a_second_batch_leaves_the_first_alone_and_a_smaller_one_leaves_nothing_stale(
    graph: Graph,
) -> None:
    first = rows("eventlog_mart.fct_game_events")[1]
    large = graph.run(EVERYTHING, 2, players=50)
    assert large.success, failures(large)
    assert rows("eventlog_mart.fct_sessions")[2] == rows("eventlog_raw.raw_sessions")[2]
    metadata = materialized(large, "eventlog_raw_players")
    assert (metadata["dagster/partition_row_count"], metadata["players"]) == (50, 50)
    assert metadata["days"] == "2011-02-13 to 2011-03-15"
    small = graph.run(EVERYTHING, 2, players=5)
    assert small.success, failures(small)
    assert rows("eventlog_raw.raw_players") == {1: 40, 2: 5}
    assert rows("eventlog_mart.dim_players") == {1: 40, 2: 5}
    assert rows("eventlog_mart.fct_game_events")[1] == first
    assert rows("eventlog_mart.fct_game_events")[2] == rows("eventlog_raw.raw_game_events")[2]
    assert published("select count(*) from eventlog_mart.dim_players") == [(45,)]


@pytest.mark.parametrize("name", ["raw_players", "fct_sessions"])
def test_a_range_that_runs_backwards_is_refused_in_one_line(graph: Graph, name: str) -> None:
    [line] = failures(graph.run(assets(name), 10, 9)).values()
    assert line == "the range 10...9 runs backwards: give 9...10"


def test_a_range_of_batches_is_one_run(graph: Graph) -> None:
    result = graph.run(EVERYTHING, 7, 8, players=6)
    assert result.success, failures(result)
    assert {b: rows("eventlog_raw.raw_players")[b] for b in (7, 8)} == {7: 6, 8: 6}
    ids = published("select player_id from eventlog_mart.dim_players where load_batch_id = 8")
    assert ("player_8_1",) in ids
    events = result.asset_materializations_for_node("eventlog_raw_sessions")
    assert {event.partition for event in events} == {"7", "8"}


def test_settings_come_from_the_environment_too(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("N_PLAYERS", "3")
    monkeypatch.setenv("LOAD_BATCH_ID", "5")
    assert graph.run(assets("raw_players"), 3).success
    assert rows("eventlog_raw.raw_players")[3] == 3
    assert 5 not in rows("eventlog_raw.raw_players")
    monkeypatch.setenv("N_PLAYERS", "many")
    line = failures(graph.run(assets("raw_players"), 3))["eventlog_raw_players"]
    assert line.startswith("N_PLAYERS is 'many'")
    assert "\n" not in line.strip()


def test_sessions_need_their_players_and_take_their_settings(graph: Graph) -> None:
    line = failures(graph.run(assets("raw_sessions"), 20))["eventlog_raw_sessions"]
    assert "materialize it for 20 first" in line
    assert "eventlog/raw_players" in line
    assert graph.run(assets("raw_players"), 21, players=4, seed=7).success
    assert graph.run(assets("raw_sessions"), 21).success
    assert read_table_file(batch_dir(21), "raw_sessions").settings.seed == 7
    # other players than those that the sessions were made for
    assert graph.run(assets("raw_players"), 21, players=9).success
    line = failures(graph.run(assets("raw_game_events"), 21))["eventlog_raw_game_events"]
    assert "raw_sessions for batch 21 was made with other settings" in line


def test_models_refuse_a_batch_whose_load_was_cut_short(graph: Graph) -> None:
    """The files of another batch 1 are written, and the run is killed before it loads them."""
    folder = batch_dir(1)
    before = {path: path.read_bytes() for path in folder.glob("raw_players*")}
    write_table(BatchSettings(players=41), "raw_players", folder)
    line = failures(graph.run(assets(*MODELS), 1))["eventlog_dbt"]
    for path, content in before.items():
        path.write_bytes(content)
    assert "eventlog_raw.raw_players does not hold batch 1 as its file" in line
    assert "materialize eventlog/raw_players for 1 again" in line
    assert graph.run(assets(*MODELS), 1).success


def test_one_mart_is_one_model(graph: Graph) -> None:
    result = graph.run(assets("daily_active_players"), 1)
    assert result.success, failures(result)
    found = result.get_asset_materialization_events()
    assert {event.asset_key.path[-1] for event in found} == {"daily_active_players"}


def test_a_failing_check_is_reported_and_holds_back_what_is_below(graph: Graph) -> None:
    with connect() as con:
        con.execute(
            "update eventlog_raw.raw_sessions set platform = 'ps9' where session_id = 'session_1'"
        )
    result = graph.run(assets(*MODELS), 1)
    assert not result.success
    assert "stg_sessions_rows" in failures(result)["eventlog_dbt"]
    assert "retention" not in {
        event.asset_key.path[-1] for event in result.get_asset_materialization_events()
    }
    assert graph.run(EVERYTHING, 1, players=40).success


def test_relations_are_those_of_the_warehouse(graph: Graph) -> None:
    translator = eventlog_translator()
    manifest = graph_manifest()
    named = {
        translator.relation(node)
        for node in [*manifest["nodes"].values(), *manifest["sources"].values()]
        if domain_of(node) == "eventlog" and node["resource_type"] in ("model", "source")
    }
    with connect() as con:
        there = con.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where table_schema like 'eventlog%'"
        ).fetchall()
    ledger = {f"eventlog_raw.{name}" for name in ("loaded_batches", "built_from", "built_periods")}
    assert named | ledger == {name for (name,) in there}


def test_a_fresh_ci_asks_for_batch_2_by_name(graph: Graph, tmp_path: Path) -> None:
    """`dagster asset materialize` in a project that has never seen a batch."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("dagster")), "asset", "materialize",
            "-m", "sprint_platform.definitions",
            "--select", 'key:"eventlog/raw_players"', "--partition", "2",
        ],
        cwd=tmp_path,
        env={
            "PATH": str(Path(sys.executable).parent),
            "PYTHONPATH": str(project_root()),
            "SPRINT_DATA_DIR": str(tmp_path / "data"),
            "DAGSTER_HOME": str(tmp_path),
            "N_PLAYERS": "4",
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    written = (tmp_path / "data/eventlog/batches/2/raw_players.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in written[1:]] == [f"player_2_{n}" for n in (1, 2, 3, 4)]
