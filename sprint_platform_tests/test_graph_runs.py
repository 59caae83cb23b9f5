"""Runs of the graph: what each button of the UI does, and what it does not do."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster._cli.asset import asset_cli
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from sprint_platform.core import database_file, locks
from sprint_platform.core.locks import LockError
from sprint_platform.core.window import ranges
from sprint_platform.engines.database_identity import note_path
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.operations.catalogue import read_catalogue, write_catalogue
from sprint_platform.operations.days_to_build import stale_days
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_tags import EXISTING_TAG, REUSE
from sprint_platform.orchestration.runs import build_models, selection_for
from sprint_platform.orchestration.title_models import TitleTranslator
from sprint_platform.orchestration.verification import verify_built
from sprint_platform.places import (
    dagster_config,
    data_dir,
    database_path,
    dbt_project_dir,
    made_catalogue_path,
    project_root,
    published_dir,
    raw_dir,
)
from sprint_platform.publish.marts import unlike_published
from sprint_platform.publish.views import LINKS
from sprint_platform.simulation.products import catalogue
from sprint_platform.simulation.world import World
from sprint_platform.storage.partitions import read_manifest
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import NOT_THE_PROJECT, graph_manifest
from sprint_platform.transform.dbt_runner import (
    dbt_environment,
    dbt_result,
    dbt_result_in_duckdb,
    stray_relations,
    title_schemas,
)
from sprint_platform_tests.other_process import (
    held_elsewhere,
    let_go,
    opened_elsewhere,
    waiting_lines,
)
from sprint_platform_tests.small_titles import TINY

# Their assets have no partitions.
WITHOUT_DAYS = ("products", "dim_products", "dim_countries", "realism_report")
DEFINITIONS = "sprint_platform.definitions"
DATASETS = ("dim_players", "signons", "sessions", "heartbeats", "transactions")
STEP_OF_DBT = "tiny_dbt"
MARTS = ("tiny_activity", "tiny_money", "tiny_conflicts")


@dataclass(frozen=True)
class Graph:
    """The tiny title's graph with a warehouse in which its first three days are built."""

    definitions: dg.Definitions
    environment: dict[str, str]
    output: str

    def run(
        self,
        selection: dg.AssetSelection,
        first: str | None = None,
        last: str | None = None,
        tags: dict[str, str] | None = None,
        warehouse: Warehouse | None = None,
        instance: dg.DagsterInstance | None = None,
        config: dict[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """A run of the selection for a partition, a range of partitions, or without any."""
        days = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
        return dg.materialize(
            [a for a in self.definitions.assets or [] if isinstance(a, dg.AssetsDefinition)],
            selection=selection,
            partition_key=first if last is None else None,
            tags={**(tags or {}), **({k: str(v) for k, v in days.items()} if last else {})},
            resources={"warehouse": warehouse or Warehouse()},
            instance=instance,
            run_config=config,
            raise_on_error=False,
        )


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["tiny", name])


def assets(*names: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(key(name) for name in names))


def check(asset: str, name: str) -> dg.AssetSelection:
    return dg.AssetSelection.checks(dg.AssetCheckKey(key(asset), name))


def materializations(result: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    events = result.filter_events(lambda event: event.is_step_materialization)
    return [event.step_materialization_data.materialization for event in events]


def built(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None]]:
    """(asset, partition) of every materialization of the run."""
    return {(m.asset_key.path[-1], m.partition) for m in materializations(result)}


def checked(result: dg.ExecuteInProcessResult) -> set[tuple[str, str]]:
    """(asset, check) of every check of the run."""
    return {
        (found.asset_key.path[-1], found.check_name)
        for found in result.get_asset_check_evaluations()
    }


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The failed steps' messages."""
    return {
        str(event.step_key): event.step_failure_data.error.message
        for event in result.get_step_failure_events()
        if event.step_failure_data.error
    }


def content() -> dict[str, tuple]:
    """Every table and model of the title: its rows and a sum of their hashes. The ledger says in
    which run a day was built, which is another one each time."""
    with connect() as con:
        tables = con.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where table_schema like 'tiny\\_%' escape '\\'"
        ).fetchall()
        return {
            table: con.execute(f"select count(*), sum(hash(t)) from {table} as t").fetchall()[0]
            for (table,) in tables
            if table not in ("tiny_raw.built_from", "tiny_raw.built_periods")
        }


def of_a_day(asset: dg.AssetKey) -> bool:
    """Whether a run of days has the asset."""
    return asset.path[-1] not in WITHOUT_DAYS and asset.path[0] == "tiny"


def rows(query: str) -> list[tuple]:
    with connect() as con:
        return con.execute(query).fetchall()


def project_files() -> dict[str, int]:
    """When each file of the dbt project was last written, but for what is no part of it."""
    files = [path for path in dbt_project_dir().rglob("*") if path.is_file()]
    return {
        str(path): path.stat().st_mtime_ns
        for path in files
        if not NOT_THE_PROJECT.intersection(path.parts)
    }


def command(environment: dict[str, str], *arguments: str) -> Result:
    """``dagster asset materialize``, in this process: in another one it would load Dagster and dbt
    again. That a process of its own does the same is test_settings.py's."""
    program = ["materialize", "-m", DEFINITIONS, *arguments]
    with pytest.MonkeyPatch.context() as patch:
        # those of other titles, where a test loaded them
        patch.delitem(sys.modules, DEFINITIONS, raising=False)
        # not from the root: the .env there names the project's own history
        patch.chdir(environment["DAGSTER_HOME"])
        try:
            return CliRunner().invoke(asset_cli, program, env=environment)
        finally:
            sys.modules.pop(DEFINITIONS, None)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "titles").mkdir()
    (folder / "titles" / "tiny.yaml").write_text(TINY)
    (folder / "home").mkdir()
    shutil.copy(dagster_config(), folder / "home" / "dagster.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder / "data"))
        patch.setenv("SPRINT_TITLES_DIR", str(folder / "titles"))
        environment = {**os.environ, "DAGSTER_HOME": str(folder / "home")}
        done = command(
            environment, "--select", 'key:"tiny/*"', "--partition-range", "2025-01-01...2025-01-03"
        )
        assert done.exit_code == 0, done.output[-3000:]
        definitions = build_definitions([Title.load("tiny")])
        yield Graph(definitions, environment, done.output)


@pytest.fixture(autouse=True)
def _same_warehouse(graph: Graph) -> Iterator[None]:
    """Every test finds the three days as they were built, whatever another one spoilt."""
    backup = database_path().with_suffix(".backup")
    published = published_dir().with_suffix(".backup")
    if not backup.exists():
        shutil.copy(database_path(), backup)
        shutil.copytree(published_dir(), published)
    note = note_path().read_text()
    yield
    shutil.copy(backup, database_path())
    note_path().write_text(note)
    shutil.rmtree(published_dir())
    shutil.copytree(published, published_dir())
    for folder in raw_dir("tiny", "signons").parent.glob("*/event_date=*"):
        if folder.name > "event_date=2025-01-03":
            shutil.rmtree(folder)


def test_the_command_line_builds_a_range_in_one_run(graph: Graph) -> None:
    with dg.DagsterInstance.from_config(graph.environment["DAGSTER_HOME"]) as instance:
        [run] = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.SUCCESS
        days = {"2025-01-01", "2025-01-02", "2025-01-03"}
        for asset in graph.definitions.resolve_asset_graph().get_all_asset_keys():
            if not of_a_day(asset):
                continue
            assert set(instance.get_materialized_partitions(asset)) == days, asset
    # one for the seeds, one for all models of all days
    assert len(re.findall("Running with dbt", graph.output)) == 2


def test_each_partition_reports_its_rows_bytes_and_digest(graph: Graph) -> None:
    with dg.DagsterInstance.from_config(graph.environment["DAGSTER_HOME"]) as instance:
        records = instance.fetch_materializations(key("heartbeats"), limit=10).records
    metadata_of = {}
    for record in records:
        materialization = record.asset_materialization
        assert materialization is not None
        metadata = {name: value.value for name, value in materialization.metadata.items()}
        metadata_of[date.fromisoformat(str(materialization.partition))] = metadata
    stored = dict(rows("select event_date, count(*) from tiny_raw.event_heartbeat group by all"))
    assert {
        d: metadata["dagster/partition_row_count"] for d, metadata in metadata_of.items()
    } == stored
    for day, metadata in metadata_of.items():
        manifest = read_manifest("tiny", "heartbeats", day)
        assert manifest is not None
        assert (metadata["digest"], metadata["bytes"]) == (manifest.digest, manifest.bytes)
        assert metadata["rows_per_second"] > 0
    pictures = {day: str(metadata.get("positions", "")) for day, metadata in metadata_of.items()}
    assert pictures[date(2025, 1, 3)].startswith(
        "![Positions on 2025-01-03](data:image/png;base64,"
    )
    assert pictures[date(2025, 1, 2)] == ""


def test_a_day_run_twice_leaves_the_warehouse_the_same_and_reads_no_manifest_of_another_day(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[str] = set()
    read_text = Path.read_text

    def reading(path: Path, *arguments: Any, **options: Any) -> str:
        if path.name == "manifest.json":
            read.add(path.parent.name)
        return read_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", reading)
    before = content()
    # the report of a year, and what is learned from weeks, belong to no day
    apart = dg.AssetSelection.assets("products", ["tiny_mart", "realism_report"])
    # and the truth is for those who ask
    apart |= dg.AssetSelection.groups("tiny_ml", "tiny_truth")
    result = graph.run(dg.AssetSelection.all() - apart, "2025-01-03")
    assert result.success, failures(result)
    assert content() == before
    assert before["tiny_stage.stage_conflicts"][0] > 0
    assert read == {"event_date=2025-01-03"}


def test_one_mart_alone_builds_that_mart_and_its_tests(graph: Graph) -> None:
    result = graph.run(assets("player_activity_daily"), "2025-01-02")
    assert result.success, failures(result)
    assert built(result) == {("player_activity_daily", "2025-01-02")}
    assert {asset for asset, _ in checked(result)} == {"player_activity_daily"}
    assert ("player_activity_daily", "non_negative_playtime") in checked(result)
    assert (published_dir() / "tiny/player_activity_daily/2025-01-02.parquet").exists()


def test_one_dataset_alone_builds_it_and_runs_its_own_checks(graph: Graph) -> None:
    result = graph.run(assets("heartbeats"), "2025-01-02")
    assert result.success, failures(result)
    assert built(result) == {("heartbeats", "2025-01-02")}
    assert checked(result) == {
        ("heartbeats", name)
        for name in (
            "rows_match_manifest",
            "dates_inside_partition",
            "no_orphan_keys",
            "event_heartbeat_source_key",
            "event_heartbeat_source_rows",
        )
    }


@pytest.mark.parametrize("name", ["kills_equal_deaths", "event_session_source_key"])
def test_one_check_alone_runs_and_builds_nothing(graph: Graph, name: str) -> None:
    result = graph.run(check("sessions", name))
    assert result.success, failures(result)
    assert built(result) == set()
    assert checked(result) == {("sessions", name)}


def test_a_check_alone_looks_at_everything(graph: Graph) -> None:
    rows("update tiny_raw.event_session set kills = kills + 1 where event_date = '2025-01-02'")
    [evaluation] = graph.run(check("sessions", "kills_equal_deaths")).get_asset_check_evaluations()
    assert not evaluation.passed
    assert "event_date 2025-01-02" in str(evaluation.description)


def test_the_seeds_load_the_catalogue(graph: Graph) -> None:
    rows("delete from tiny_dim.dim_products")
    result = graph.run(assets("dim_products"))
    assert result.success, failures(result)
    assert built(result) == {("dim_products", None)}
    assert rows("select count(*) from tiny_dim.dim_products")[0][0] >= 30


def test_a_catalogue_that_was_made_is_the_data_folders(graph: Graph) -> None:
    before = project_files()
    config = {"ops": {"products": {"config": {"count": 33}}}}
    made = made_catalogue_path()
    selection = dg.AssetSelection.assets("products") | assets("dim_products", "transactions")
    try:
        result = graph.run(selection, "2025-01-02", config=config)
        assert result.success, failures(result)
        assert project_files() == before
        assert made.is_relative_to(data_dir())
        assert read_catalogue().equals(catalogue(33))
        expected = [tuple(row.values()) for row in catalogue(33).to_pylist()]
        assert sorted(rows("select * from tiny_dim.dim_products")) == sorted(expected)
        # the simulation sells what is in it
        [(sold,)] = rows(
            "select source from tiny_raw.loaded_partitions"
            " where dataset = 'transactions' and partition_date = '2025-01-02'"
        )
        assert sold == World(Title.load("tiny"), catalogue(33)).source("transactions")
        # people edit it, and put its columns in another order
        lines = list(csv.reader(made.read_text().splitlines()))
        made.write_text("\n".join(",".join(reversed(line)) for line in lines[:4]) + "\n")
        assert graph.run(assets("dim_products")).success
        assert sorted(rows("select * from tiny_dim.dim_products")) == sorted(expected[:3])
    finally:
        made.unlink(missing_ok=True)
    # a data folder without one: the committed seed
    assert graph.run(assets("dim_products")).success
    assert rows("select count(*) from tiny_dim.dim_products") == [(catalogue().num_rows,)]
    # the day as the other tests find it
    assert graph.run(assets("transactions"), "2025-01-02").success


def test_a_failed_check_blocks_everything_downstream(graph: Graph) -> None:
    rows("update tiny_raw.event_session set kills = kills + 1 where event_date = '2025-01-02'")
    result = graph.run(assets(*DATASETS, "fact_session", "player_activity_daily"), "2025-01-02")
    assert not result.success
    assert set(failures(result)) == {"tiny_sessions"}
    assert "kills_equal_deaths" in failures(result)["tiny_sessions"]
    assert {asset for asset, _ in built(result)} == {
        "dim_players",
        "signons",
        "sessions",
        "transactions",
    }


def test_a_failed_dbt_test_names_itself_and_blocks_what_stands_on_it(graph: Graph) -> None:
    rows("update tiny_raw.event_session set event_length_seconds = -event_length_seconds")
    models = ("fact_session", "player_activity_daily", "country_monthly_playtime")
    result = graph.run(assets(*models), "2025-01-02")
    line = failures(result)[STEP_OF_DBT]
    assert "non_negative_playtime" in line
    assert "\n" not in line.strip()
    assert "country_monthly_playtime" not in {asset for asset, _ in built(result)}
    failed = {e.check_name: e for e in result.get_asset_check_evaluations() if not e.passed}
    # the wrong rows, for example, and not only their number
    wrong = str(failed["non_negative_playtime"].description)
    assert "calendar_date 2025-01-02" in wrong
    assert wrong.split("; ")[0] in line


def test_a_partition_without_players_says_what_to_make_first(graph: Graph) -> None:
    result = graph.run(assets("signons"), "2025-01-06")
    assert failures(result)["tiny_signons"] == (
        "tiny/signons for 2025-01-06 needs tiny/dim_players for 2025-01-06: materialize"
        " tiny/dim_players for 2025-01-06 first"
    )
    assert built(result) == set()


def test_players_of_an_earlier_day_that_the_warehouse_lost_are_missed(graph: Graph) -> None:
    """No manifest of an earlier day is read for it: the ledger is asked."""
    rows(
        "delete from tiny_raw.loaded_partitions where dataset = 'dim_players' and"
        " partition_date = '2025-01-01'"
    )
    for asset in ("signons", "kpi_daily"):
        (line,) = failures(graph.run(assets(asset), "2025-01-03")).values()
        assert line == (
            f"tiny/{asset} for 2025-01-03 needs tiny/dim_players for 2025-01-01, which the"
            " warehouse does not hold as this version of tiny has them: materialize"
            " tiny/dim_players for 2025-01-01 first"
        )


def published_files() -> dict[str, int]:
    root = published_dir() / "tiny"
    paths = (path for path in root.rglob("*.parquet") if path.parent.name != LINKS)
    return {str(path.relative_to(root)): path.stat().st_ino for path in paths}


def unlike() -> list[str]:
    translator, manifest = TitleTranslator(Title.load("tiny")), graph_manifest()
    with connect() as con:
        found = unlike_published(con, translator.ledger, translator.marts(manifest))
        return [line for line, _, _ in found]


def test_what_succeeded_is_published_though_another_model_failed(graph: Graph) -> None:
    assert unlike() == []
    # one model of the day cannot be built: its table has lost a column
    rows("alter table tiny_mart.position_heat_daily drop column cell_side")
    day = assets(*DATASETS) | dg.AssetSelection.groups("tiny_stage", *MARTS)
    before = published_files()
    result = graph.run(day, "2025-01-02")
    assert "position_heat_daily" in failures(result)[STEP_OF_DBT]
    after = published_files()
    changed = {name.split("/")[0] for name in after if before.get(name) != after[name]}
    with connect() as con:
        marts = con.execute(
            "select table_name from information_schema.tables where table_schema = 'tiny_mart'"
        ).fetchall()
    good = {mart for (mart,) in marts} - {"position_heat_daily"}
    assert good <= changed
    assert unlike() == []


def test_what_fails_its_test_is_not_published_and_counts_as_not_built(graph: Graph) -> None:
    title, manifest = Title.load("tiny"), graph_manifest()
    translator = TitleTranslator(title)
    # a mart whose own test finds a wrong row: two currencies
    rows(
        "update tiny_raw.event_transaction set currency = 'EUR' where transaction_id ="
        " (select min(transaction_id) from tiny_raw.event_transaction where event_date ="
        " '2025-01-02')"
    )
    result = graph.run(dg.AssetSelection.groups(*MARTS), "2025-01-02")
    failed = {
        found.check_name for found in result.get_asset_check_evaluations() if not found.passed
    }
    assert failed
    with connect() as con:
        standing = translator.ledger.standing(con, translator.models(manifest))
    assert standing.unbuilt == ("2025-01-02",)
    assert standing.built == ("2025-01-01", "2025-01-03")


def test_another_encounter_distance_marks_the_days_that_were_built_the_old_way(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mart = "tiny_mart.conflict_rates_daily"
    before = rows(f"select * from {mart} order by calendar_day")
    (tmp_path / "tiny.yaml").write_text(TINY.replace("distance: 50", "distance: 5"))
    monkeypatch.setenv("SPRINT_TITLES_DIR", str(tmp_path))
    title = Title.load("tiny")
    changed = build_definitions([title])
    versions = [
        {spec.key: spec.code_version for spec in defs.resolve_all_asset_specs()}
        for defs in (graph.definitions, changed)
    ]
    differ = {k.path[-1] for k in versions[0] if versions[0][k] != versions[1].get(k)}
    assert differ == {"stage_conflicts"}

    other = Graph(changed, graph.environment, "")
    result = other.run(assets("stage_conflicts").downstream(), "2025-01-03")
    assert result.success, failures(result)
    findings = verify_built(title, [date(2025, 1, day) for day in (1, 2, 3)])
    assert [finding.mend for finding in findings] == ["sprint run --title tiny --stale"]
    assert "2025-01-01 (and 1 more, up to 2025-01-02) (stage_conflicts)" in findings[0].line
    # of a day that was built the new way nothing is said
    assert verify_built(title, [date(2025, 1, 3)]) == []

    manifest, translator = graph_manifest(), TitleTranslator(title)
    with connect() as con:
        stale = stale_days(title, translator.ledger.standing(con, translator.models(manifest)))
    assert stale == [date(2025, 1, 1), date(2025, 1, 2)]
    monkeypatch.setenv("DAGSTER_HOME", graph.environment["DAGSTER_HOME"])
    (run,) = build_models(title, ranges(stale))
    assert run.success, run.failures
    assert verify_built(title, [date(2025, 1, day) for day in (1, 2, 3)]) == []
    after = rows(f"select * from {mart} order by calendar_day")
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_a_model_without_its_dataset_says_what_to_make_first(graph: Graph) -> None:
    result = graph.run(assets("player_activity_daily"), "2025-01-05")
    assert failures(result)[STEP_OF_DBT] == (
        "tiny/player_activity_daily for 2025-01-05 needs tiny/sessions for 2025-01-05:"
        " materialize tiny/sessions for 2025-01-05 first"
    )


def test_a_model_without_the_model_below_says_what_to_make_first(graph: Graph) -> None:
    rows("drop table tiny_stage.stage_conflicts cascade")
    result = graph.run(assets("conflict_summary_daily"), "2025-01-02")
    assert "needs tiny/stage_conflicts, which was never built" in failures(result)[STEP_OF_DBT]


def test_players_of_a_later_day_come_with_those_of_the_days_between(graph: Graph) -> None:
    result = graph.run(assets("dim_players"), "2025-01-06")
    assert result.success, failures(result)
    days = {"2025-01-04", "2025-01-05", "2025-01-06"}
    assert built(result) == {("dim_players", day) for day in days}
    between = [
        materialization.metadata["made_for"].value
        for materialization in materializations(result)
        if materialization.partition != "2025-01-06"
    ]
    assert between == ["the run of 2025-01-06"] * 2
    days_stored = rows("select distinct signup_date from tiny_dim.dim_players")
    assert {str(day) for (day,) in days_stored} >= days


def test_a_missing_range_is_one_run(graph: Graph) -> None:
    result = graph.run(assets("dim_players", "signons"), "2025-01-04", "2025-01-06")
    assert result.success, failures(result)
    assert built(result) == {
        (asset, f"2025-01-0{day}") for asset in ("dim_players", "signons") for day in (4, 5, 6)
    }


def test_reuse_keeps_the_files_that_are_there(graph: Graph) -> None:
    def written() -> int:
        return (raw_dir("tiny", "signons") / "event_date=2025-01-02/manifest.json").stat().st_ino

    before = written()
    assert graph.run(assets("signons"), "2025-01-02", tags={EXISTING_TAG: REUSE}).success
    assert written() == before
    assert graph.run(assets("signons"), "2025-01-02").success
    assert written() != before


@pytest.mark.parametrize("lost", ["sprint.duckdb", "tiny/ledger.parquet"])
def test_what_was_loaded_but_not_published_is_published_by_the_next_run(
    graph: Graph, lost: str
) -> None:
    """A run may be killed between its load and its publication, or within that."""
    path = published_dir() / lost
    path.unlink()
    assert graph.run(assets("heartbeats"), "2025-01-02").success
    assert path.exists()


def test_a_run_that_waits_too_long_names_the_holder(graph: Graph) -> None:
    with held_elsewhere(warehouse_lock(), "a long test") as holder:
        result = graph.run(
            assets("dim_players"), "2025-01-02", warehouse=Warehouse(lease_timeout_seconds=0.2)
        )
    line = failures(result)["tiny_dim_players"]
    assert "a long test" in line
    assert f"process {holder.pid} " in line
    assert "\n" not in line


def test_a_killed_holder_frees_the_lease(graph: Graph) -> None:
    program = (
        "import sys\n"
        "from sprint_platform.orchestration.resources import Warehouse\n"
        "with Warehouse().get_connection('a run that will be killed'):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=project_root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    short = Warehouse(lease_timeout_seconds=0.2)
    refused = graph.run(assets("signons"), "2025-01-02", warehouse=short)
    assert "a run that will be killed" in failures(refused)["tiny_signons"]
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert graph.run(assets("signons"), "2025-01-02").success


def test_a_database_that_is_open_elsewhere_is_said_in_one_line(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_file, "DEADLINE_SECONDS", 0.1)
    with opened_elsewhere(database_path()) as other:
        line = failures(graph.run(assets("signons"), "2025-01-02"))["tiny_signons"]
    assert "is open in another program" in line
    assert f"PID {other.pid}" in line
    assert "waited 0.1 s: close it there" in line
    assert "\n" not in line


def test_a_run_waits_for_a_database_that_is_open_elsewhere_and_says_so_in_its_log(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "FIRST_LINE_SECONDS", 0.0)
    with (
        opened_elsewhere(database_path(), read_only=True) as other,
        waiting_lines(lambda _: let_go(other)) as lines,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        result = graph.run(assets("signons"), "2025-01-02", instance=instance)
        log = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert result.success
    assert f"PID {other.pid}" in lines[0]
    assert set(lines) <= set(log)


@pytest.mark.parametrize("lets_go", [True, False])
def test_dbt_waits_for_a_database_that_is_open_elsewhere(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, lets_go: bool
) -> None:
    monkeypatch.setattr(locks, "FIRST_LINE_SECONDS", 0.0)
    monkeypatch.setattr(database_file, "DEADLINE_SECONDS", 60 if lets_go else 0.1)
    arguments = _arguments_for(graph, ["dim_countries"])
    environment = dbt_environment(Title.load("tiny"), None)
    with (
        opened_elsewhere(database_path(), read_only=True) as other,
        waiting_lines(lambda _: let_go(other) if lets_go else None) as lines,
    ):
        if lets_go:
            assert dbt_result_in_duckdb(arguments, environment).success
        else:
            with pytest.raises(LockError, match=rf"open in another program .*PID {other.pid}"):
                dbt_result_in_duckdb(arguments, environment)
    assert lines


def test_nobody_opens_the_database_between_the_wait_and_dbts_own_connection(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """dbt has yet to parse, and would fail where another program has the file open by then. It is
    let in with whatever settings of DuckDB's were exported."""
    monkeypatch.setenv("SPRINT_DUCKDB_MEMORY", "650MiB")
    monkeypatch.setenv("SPRINT_DUCKDB_TEMP", str(tmp_path / "spill"))
    opens = f"import duckdb; duckdb.connect({str(database_path())!r}, read_only=True)"
    refused: list[str] = []

    def at_its_start(_: object) -> None:
        if not refused:
            tried = subprocess.run(
                [sys.executable, "-c", opens], capture_output=True, text=True, check=False
            )
            refused.append(tried.stderr)

    arguments = _arguments_for(graph, ["dim_countries"])
    environment = dbt_environment(Title.load("tiny"), None)
    result = dbt_result_in_duckdb(arguments, environment, [at_its_start])
    assert result.success, result.exception
    assert f"(PID {os.getpid()})" in refused[0]


def test_dbt_leaves_the_database_to_other_processes(graph: Graph) -> None:
    assert graph.run(assets("player_stats_lifetime"), "2025-01-02").success
    opened = subprocess.run(
        [sys.executable, "-c", f"import duckdb; duckdb.connect({str(database_path())!r})"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert opened.returncode == 0, opened.stderr


def test_relations_of_another_title_are_noticed(graph: Graph) -> None:
    tiny = Title.load("tiny")
    arguments = _arguments_for(graph, ["fact_session"])
    result = dbt_result(arguments, dbt_environment(tiny, None))
    assert result.success
    assert stray_relations(title_schemas("tiny"), result) == []
    [stray] = stray_relations(title_schemas("sprint"), result)
    assert "tiny_stage" in stray


def _arguments_for(graph: Graph, models: Sequence[str]) -> list[str]:
    from sprint_platform.transform.dbt_manifest import graph_manifest
    from sprint_platform.transform.dbt_runner import build_arguments

    manifest = graph_manifest()
    nodes = [n for n in manifest["nodes"].values() if n["name"] in models]
    return build_arguments("tiny", manifest, nodes)


def test_a_day_before_the_launch_is_refused_in_one_line(graph: Graph) -> None:
    refused = command(
        graph.environment, "--select", 'key:"tiny/sessions"', "--partition", "2024-12-31"
    )
    assert refused.exit_code != 0
    assert "partition key `2024-12-31`" in str(refused.exception)
    assert not (raw_dir("tiny", "sessions") / "event_date=2024-12-31").exists()


@pytest.mark.parametrize("name", ["signons", "fact_session"])
def test_a_range_that_runs_backwards_is_refused_in_one_line(graph: Graph, name: str) -> None:
    [line] = failures(graph.run(assets(name), "2025-01-03", "2025-01-01")).values()
    message = "the range 2025-01-03...2025-01-01 runs backwards: give 2025-01-01...2025-01-03"
    assert line == message


# -- what a crash leaves, and a title's first day ------------------------------------------------


def test_a_new_warehouse_is_loaded_from_the_files(graph: Graph) -> None:
    # another machine, to which only the files were copied
    shutil.rmtree(published_dir())
    note_path().unlink()
    database_path().unlink()
    daily = graph.definitions.resolve_asset_graph().get_all_asset_keys()
    alone = dg.AssetSelection.assets(*(k for k in daily if of_a_day(k)))
    # one later day alone: the players of the earlier days are there as files only, and the seeds,
    # which no daily job has, were never built in this warehouse
    result = graph.run(alone, "2025-01-04")
    assert result.success, failures(result)
    assert rows("select count(distinct signup_date) > 1 from tiny_dim.dim_players") == [(True,)]
    assert rows("select count(*) from tiny_dim.dim_countries") != [(0,)]
    assert all(check.passed for check in result.get_asset_check_evaluations())


def test_a_model_is_not_built_from_what_was_never_loaded(graph: Graph) -> None:
    # as a run leaves it that was killed between the two
    rows("delete from tiny_raw.loaded_partitions where dataset = 'sessions'")
    result = graph.run(assets("player_activity_daily"), "2025-01-02")
    assert failures(result)[STEP_OF_DBT] == (
        "tiny/sessions for 2025-01-02 was made, but the warehouse has not loaded it:"
        " materialize tiny/sessions for 2025-01-02 again"
    )
    assert built(result) == set()


def test_a_damaged_day_does_not_stop_other_days(graph: Graph) -> None:
    manifest = raw_dir("tiny", "heartbeats") / "event_date=2025-01-01" / "manifest.json"
    intact = manifest.read_bytes()
    manifest.write_bytes(b"")
    try:
        result = graph.run(assets("player_activity_daily"), "2025-01-02")
    finally:
        manifest.write_bytes(intact)
    assert result.success, failures(result)


def test_an_edited_catalogue_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    edited = made_catalogue_path()
    definitions = build_definitions([Title.load("tiny")]).resolve_asset_graph()

    def made() -> bool:
        return dg.AssetKey("products") in selection_for("tiny", "all").resolve(definitions)

    assert made()
    write_catalogue(catalogue(), edited)
    assert made()
    edited.write_text(edited.read_text().replace("9.99", "8.99"))
    assert not made()
