"""Real trajectories as partition files of a title of their own, through load, dbt and Dagster."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.dbt_runner import dbt_environment, dbt_result, failure_line
from sprint_platform.orchestration.window import Window
from sprint_platform.places import dbt_project_dir
from sprint_platform.telemetry.partitions import write_partition
from sprint_platform.title import Title
from sprint_platform.warehouse.database import connect
from sprint_platform.warehouse.load import load_partitions
from sprint_platform_tests import real_telemetry
from sprint_platform_tests.real_telemetry import needs_real_telemetry

pytestmark = needs_real_telemetry

ARENA = """\
name: arena
description: Rocket League matches, a heartbeat for each second of play
launch_date: 2016-05-01
seed: 0
source: landing
grid: {x: [0, 200], y: [0, 200], z: [0, 200]}
encounters: {distance: 50, gap_seconds: 180}
"""


def encounters(con: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return con.execute(
        "select session_id, team_1_id, team_2_id, encounter_start, encounter_end,"
        " close_heartbeats, min_distance from arena_stage.stage_encounters order by all"
    ).fetchall()


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Title:
    """The title, with all its partition files in a data folder of its own."""
    folder = tmp_path_factory.mktemp("arena")
    titles = folder / "titles"
    titles.mkdir()
    (titles / "arena.yaml").write_text(ARENA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder / "data"))
        patch.setenv("SPRINT_TITLES_DIR", str(titles))
        title = Title.load("arena")
        for dataset, tables in (
            ("sessions", real_telemetry.session_tables()),
            ("heartbeats", real_telemetry.heartbeat_tables()),
        ):
            for day, table in tables.items():
                write_partition("arena", dataset, day, [table], source="real")
        yield title


@pytest.fixture(scope="module")
def window(arena: Title) -> Window:
    days = sorted(real_telemetry.session_tables())
    return Window(days[0], days[-1] + timedelta(days=1))


def dbt(title: Title, window: Window, *command: str, target: Path) -> None:
    result = dbt_result(
        [
            *command,
            *("--project-dir", str(dbt_project_dir()), "--quiet"),
            *("--target-path", str(target), "--log-path", str(target)),
        ],
        dbt_environment(title, window),
    )
    assert failure_line(title, result) is None


@pytest.fixture(scope="module")
def built(arena: Title, window: Window, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One load and one dbt invocation over the ten years of days; returns dbt's target folder."""
    from sprint_platform.telemetry.partitions import partition_days, read_manifest

    with connect() as con:
        for dataset in ("sessions", "heartbeats"):
            manifests = {
                day: read_manifest("arena", dataset, day)
                for day in partition_days("arena", dataset)
            }
            load_partitions(con, "arena", dataset, {d: m for d, m in manifests.items() if m})
    target = tmp_path_factory.mktemp("dbt")
    dbt(arena, window, "build", "--exclude-resource-type", "unit_test", target=target)
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


def test_one_day_through_dagster(
    arena: Title, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A day of files that a studio dropped in gives, through the whole graph, its encounters."""
    source = real_telemetry.session_tables(), real_telemetry.heartbeat_tables()
    day = max(source[1], key=lambda day: source[1][day].num_rows)
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path / "data"))
    write_partition("arena", "sessions", day, [source[0][day]], source="real")
    write_partition("arena", "heartbeats", day, [source[1][day]], source="real")
    definitions = build_definitions([arena])
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)],
            selection=dg.AssetSelection.key_prefixes(["arena"]),
            resources=definitions.resources,
            instance=instance,
            partition_key=day.isoformat(),
            raise_on_error=False,
        )
    assert result.success, [event.message for event in result.get_step_failure_events()]
    with connect() as con:
        found = encounters(con)
    sessions = {session for (session, *_) in found}
    expected = real_telemetry.expected_encounters(50, 180)
    assert found == [row for row in expected if row[0] in sessions]
    assert sessions == sessions_of(day) & {row[0] for row in expected}


def sessions_of(day: date) -> set[object]:
    return set(real_telemetry.session_tables()[day]["session_id"].to_pylist())
