"""Real trajectories, landed by a title of their own, through load, dbt and Dagster."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from sprint_platform.core.window import Window
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import load_partitions
from sprint_platform.landing.land import land
from sprint_platform.operations.landed import load_landed
from sprint_platform.places import dbt_project_dir
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import partition_days, read_manifest
from sprint_platform.telemetry import contracts
from sprint_platform.title import Title
from sprint_platform.transform.dbt_runner import dbt_environment, dbt_result, failure_line
from sprint_platform_tests import real_telemetry
from sprint_platform_tests.dbt_runs import OTHER_DOMAINS
from sprint_platform_tests.real_telemetry import needs_real_telemetry

pytestmark = needs_real_telemetry

DATASETS = ("sessions", "heartbeats")


def digests() -> dict[tuple[str, str], str]:
    """The digest of every partition that holds something."""
    found = {}
    for dataset in DATASETS:
        for day in partition_days("arena", dataset):
            manifest = read_manifest("arena", dataset, day)
            if manifest and manifest.rows:
                found[dataset, str(day)] = manifest.digest
    return found


def encounters(con: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return con.execute(
        "select session_id, team_1_id, team_2_id, encounter_start, encounter_end,"
        " close_heartbeats, min_distance from arena_stage.stage_encounters order by all"
    ).fetchall()


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Title:
    """The title, with the files as they are landed in a data folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("arena") / "whole"
        for name, value in real_telemetry.folders(folder).items():
            patch.setenv(name, value)
        title = Title.load("arena")
        real_telemetry.deliver_as_it_is()
        land(title)
        yield title


@pytest.fixture(scope="module")
def window(arena: Title) -> Window:
    days = sorted(real_telemetry.start_days().values())
    return Window(days[0], days[-1] + timedelta(days=1))


def dbt(title: Title, window: Window, *command: str, target: Path) -> None:
    result = dbt_result(
        [
            *command,
            *("--exclude", *(f"tag:{domain}" for domain in OTHER_DOMAINS)),
            *("--project-dir", str(dbt_project_dir()), "--quiet"),
            *("--target-path", str(target), "--log-path", str(target)),
        ],
        dbt_environment(title, window),
    )
    assert failure_line(title.name, result) is None


@pytest.fixture(scope="module")
def built(arena: Title, window: Window, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One load and one dbt invocation over the ten years of days; returns dbt's target folder."""
    with connect() as con:
        for dataset in DATASETS:
            manifests = {
                day: read_manifest("arena", dataset, day)
                for day in partition_days("arena", dataset)
            }
            load_partitions(
                con,
                title_ledger("arena"),
                contracts.DATASETS[dataset],
                {d: m for d, m in manifests.items() if m},
            )
        load_landed(con, arena)
        con.execute("create table if not exists arena_dim.dim_products (product_sku varchar)")
    target = tmp_path_factory.mktemp("dbt")
    exclude = ("--exclude-resource-type", "unit_test", "--exclude", "dim_products+")
    dbt(arena, window, "build", *exclude, target=target)
    return target


def test_sessions_and_heartbeats_are_whole(built: Path) -> None:
    with connect() as con:
        assert con.execute("select count(*) from arena_raw.event_heartbeat").fetchone() == (56_167,)
        assert con.execute("select count(*) from arena_raw.event_session").fetchone() == (171,)
        # some matches cross midnight: they stay in the day on which they started
        crossing = con.execute(
            "select count(distinct session_id) from arena_raw.event_heartbeat"
            " where cast(event_datetime as date) <> event_date"
        ).fetchone()
        assert crossing is not None
        assert crossing[0] > 0
        astray = con.execute(
            "select count(*) from (select session_id from arena_raw.event_heartbeat"
            " group by session_id having count(distinct event_date) > 1)"
        ).fetchone()
        assert astray == (0,)


def test_what_became_of_every_row_is_counted(built: Path) -> None:
    with connect() as con:
        files = con.execute(
            "select file, status, rows_read, accepted, rejected, duplicates, waiting"
            " from arena_raw.landed_files order by file"
        ).fetchall()
        assert files == [
            ("heartbeats/heartbeats.parquet", "landed", 56_167, 56_167, 0, 0, 0),
            ("sessions/sessions.csv", "landed", 171, 171, 0, 0, 0),
        ]
        # the ids that the studio knows are found by the ids of the warehouse, and back
        ids = dict(
            con.execute(
                "select source_id, id from arena_dim.source_ids where kind = 'session'"
            ).fetchall()
        )
        assert ids == {
            source_id: real_telemetry.session_id(source_id)
            for source_id in real_telemetry.start_days()
        }


def test_one_dbt_run_gives_the_266_encounters(built: Path) -> None:
    with connect() as con:
        found = encounters(con)
        assert len(found) == 266
        assert found == real_telemetry.expected_encounters(50, 180)
        assert con.execute(
            "select sum(total_encounter_seconds) from arena_mart.session_close_encounters_daily"
        ).fetchone() == (254_700,)
        # nobody knows these players, and nothing is lost for it
        assert con.execute(
            "select country, count(*) from arena_mart.player_stats_lifetime group by country"
        ).fetchall() == [("ZZ", len({row["player_id"] for row in real_telemetry.sessions()}))]


@pytest.mark.parametrize(
    ("distance", "gap_seconds", "count", "seconds"),
    [(30, 60, 730, 127_800), (10, 180, 276, 30_240)],
)
def test_other_distances_and_gaps(
    arena: Title,
    window: Window,
    built: Path,
    tmp_path: Path,
    distance: int,
    gap_seconds: int,
    count: int,
    seconds: int,
) -> None:
    near = arena.encounters.model_copy(update={"distance": distance, "gap_seconds": gap_seconds})
    title = arena.model_copy(update={"encounters": near})
    dbt(title, window, "run", "--select", "stage_encounters", target=tmp_path)
    with connect() as con:
        found = encounters(con)
        assert len(found) == count
        assert found == real_telemetry.expected_encounters(distance, gap_seconds)
        assert con.execute(
            "select sum(epoch(encounter_end - encounter_start)) from arena_stage.stage_encounters"
        ).fetchone() == (seconds,)


@pytest.mark.parametrize("format", ["parquet", "csv", "ndjson"])
def test_every_format_lands_as_the_same_partitions(
    arena: Title, format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = digests()
    assert len(expected) == 2 * len(set(real_telemetry.start_days().values()))
    for name, value in real_telemetry.folders(tmp_path).items():
        monkeypatch.setenv(name, value)
    for dataset, rows in real_telemetry.tables().items():
        real_telemetry.write_copy(dataset, "all", rows, format)
    report = land(arena)
    assert not any(file.rejected or file.waiting for file in report.files)
    assert digests() == expected


@pytest.mark.parametrize(("format", "seed"), [("parquet", 1), ("csv", 2), ("ndjson", 3)])
def test_hours_out_of_order_over_three_runs_land_as_the_same_partitions(
    arena: Title, format: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = digests()
    for name, value in real_telemetry.folders(tmp_path).items():
        monkeypatch.setenv(name, value)
    pieces = real_telemetry.by_the_hour()
    random.Random(seed).shuffle(pieces)
    waited = 0
    for run in range(3):
        for dataset, hour, rows in pieces[run::3]:
            real_telemetry.write_copy(dataset, hour, rows, format)
        report = land(arena)
        waited += sum(file.waiting for file in report.files)
    assert waited, "some heartbeats came before their sessions"
    assert digests() == expected
    assert not land(arena).changes
