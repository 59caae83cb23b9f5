"""What a large day and a long history must not cost, on small ones: rows that statements read, and
memory. Seconds are the bench's (docs/scale.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sprint_platform_tests.dbt_runs import DbtWarehouse, landed_title

# of that name, as dbt has parsed it for test_dbt_marts.py
GAME = landed_title("game", distance=50, gap_seconds=180)
FIRST_DAY, DAYS = date(2025, 1, 1), 60
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
# of a day: sessions of four teams of one player, of fifty beats
SESSIONS, TEAMS, BEATS = 50, 4, 50
HEARTBEATS = SESSIONS * TEAMS * BEATS
LARGE = {"event_heartbeat": "game_raw", "stage_centroids": "game_stage"}
# DuckDB skips row groups of so many rows by their days; a day may lie in two of them
ROW_GROUP = 122_880
VIEWS = ("event_heartbeat", "fact_session")
TABLES = ("stage_centroids", "stage_encounters", "player_activity_daily", "position_heat_daily")

# Days in order, as loads of one after the other leave them.
RECORDS = f"""
create temp table parts as
select
    date '{FIRST_DAY}' + cast(days.day as integer) as event_date,
    cast(md5(concat(day, ' ', session)) as uuid) as session_id,
    cast(md5(concat(day, ' ', session, ' ', team)) as uuid) as player_id,
    cast(team as smallint) as team_id,
    date '{FIRST_DAY}' + cast(days.day as integer) + interval 1 minute * session as started_at
from range({DAYS}) as days(day), range({SESSIONS}) as sessions(session),
    range(1, {TEAMS + 1}) as teams(team);

insert into game_raw.event_session
    (session_id, player_id, team_id, country, started_at, event_datetime, event_length_seconds,
    kills, deaths, event_date)
select
    session_id, player_id, team_id, 'DE', started_at, started_at + interval 25 minutes, 1500, 0, 0,
    event_date
from parts order by event_date;

insert into game_raw.event_heartbeat
    (session_id, player_id, team_id, event_datetime, position_x, position_y, position_z, event_date)
select
    session_id, player_id, team_id, started_at + interval 30 seconds * beat,
    (hash(player_id, beat) % 6000) / 100, beat, team_id, event_date
from parts, range({BEATS}) as beats(beat) order by event_date;
"""


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> DbtWarehouse:
    """Sixty days, built; their last day's statements are in dbt's folder, compiled."""
    warehouse = DbtWarehouse(tmp_path_factory.mktemp("past"))
    warehouse.create_tables(GAME)
    with warehouse.connect() as con:
        con.execute(RECORDS)
    run = warehouse.dbt(GAME, "run", "--select", *VIEWS, *TABLES)
    assert run.success, run.messages
    with warehouse.connect() as con:
        # built day by day they would lie so
        con.execute(
            "create temp table ordered as select * from game_stage.stage_centroids;"
            " truncate game_stage.stage_centroids;"
            " insert into game_stage.stage_centroids from ordered order by event_date"
        )
    compiled = warehouse.dbt(
        GAME,
        *("compile", "--indirect-selection", "cautious", "--exclude", "resource_type:unit_test"),
        *("--select", *VIEWS, *TABLES, "source:raw.event_heartbeat", "source:raw.event_session"),
        window=(LAST_DAY, LAST_DAY + timedelta(days=1)),
    )
    assert compiled.success, compiled.error
    return warehouse


def statements(warehouse: DbtWarehouse) -> dict[str, str]:
    """The compiled tables and tests, by name."""
    compiled = warehouse.folder / "dbt" / GAME.name / "compiled" / "sprint_dbt"
    return {
        path.stem: path.read_text(encoding="utf-8")
        for folder in ("models", "tests")
        for path in (compiled / folder).rglob("*.sql")
        if path.stem not in VIEWS
    }


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Each table that the profiled plan reads, and how many of its rows."""
    if table := plan.get("extra_info", {}).get("Table"):
        yield table.split(".")[-1], plan["operator_rows_scanned"]
    for child in plan["children"]:
        yield from scans(child)


def test_a_day_after_a_long_history_reads_only_itself(past: DbtWarehouse, tmp_path: Path) -> None:
    """Every model and test that reads a large table skips the days outside of its window."""
    read: dict[str, dict[str, int]] = {table: {} for table in LARGE}
    profile = tmp_path / "profile.json"
    with past.connect() as con:
        rows = {
            table: con.execute(f"select count(*) from {schema}.{table}").fetchall()[0][0]
            for table, schema in LARGE.items()
        }
        con.execute(f"set enable_profiling = 'json'; set profiling_output = '{profile}'")
        for name, sql in statements(past).items():
            con.execute(sql).fetchall()
            for table, count in scans(json.loads(profile.read_text(encoding="utf-8"))):
                if table in read:
                    read[table][name] = max(count, read[table].get(name, 0))
    assert rows["event_heartbeat"] == DAYS * HEARTBEATS
    assert {*TABLES, "event_heartbeat_source_key"} <= statements(past).keys()
    assert {"stage_centroids", "event_heartbeat_source_key", "position_heat_daily"} <= read[
        "event_heartbeat"
    ].keys()
    assert "stage_encounters" in read["stage_centroids"]
    for table, of_table in read.items():
        assert 2 * max(of_table.values()) < rows[table], of_table
        assert max(of_table.values()) <= 2 * ROW_GROUP, of_table


def test_the_largest_statements_spill_instead_of_failing(
    past: DbtWarehouse, tmp_path: Path
) -> None:
    """Centroids and encounters of all days need more memory than there is: they finish on the disk,
    with the same rows."""
    every_day = {
        name: statements(past)[name].replace(f"date '{LAST_DAY}'", f"date '{FIRST_DAY}'")
        for name in ("stage_centroids", "stage_encounters")
    }
    settings = (
        "set threads = 2; set preserve_insertion_order = false; set memory_limit = '60MB';"
        f" set temp_directory = '{tmp_path}'; set max_temp_directory_size ="
    )
    with past.connect() as con:
        con.execute(f"{settings} '0B'")
        for sql in every_day.values():
            with pytest.raises(duckdb.OutOfMemoryException):
                con.execute(f"create temp table again as {sql}")
    with past.connect() as con:
        con.execute(f"{settings} '2GB'")
        for name, sql in every_day.items():
            con.execute(f"create or replace temp table again as {sql}")
            rows, built = (
                con.execute(f"select count(*), bit_xor(hash(row_)) from {table} as row_").fetchone()
                for table in ("again", f"game_stage.{name}")
            )
            assert rows == built


def test_a_heartbeat_that_is_there_twice_is_found(past: DbtWarehouse) -> None:
    """The key of heartbeats is tested by beats, and moments are compared only where two are in one
    beat: neither these nor a session of many beats are taken for doubles."""
    key = f"select event_datetime, copies from ({statements(past)['event_heartbeat_source_key']})"
    heartbeat = f"from game_raw.event_heartbeat where event_date = date '{LAST_DAY}'"
    with past.connect() as con:
        con.execute("begin")
        for later in ("64 * interval 30 second", "interval 1 microsecond"):
            con.execute(
                "insert into game_raw.event_heartbeat"
                f" select * replace (event_datetime + {later} as event_datetime) {heartbeat}"
                " and event_datetime < event_date + interval 2 minute"
            )
        assert con.execute(key).fetchall() == []
        con.execute(f"create temp table double as select * {heartbeat} limit 1")
        con.execute("insert into game_raw.event_heartbeat from double")
        moment = con.execute("select event_datetime from double").fetchall()[0][0]
        assert con.execute(key).fetchall() == [(moment, 2)]
        con.execute("rollback")
