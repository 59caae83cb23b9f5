"""Every mart against brute force, and what a run of some days replaces."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from sprint_platform_tests.dbt_runs import DbtWarehouse, Row, landed_title
from sprint_platform_tests.game_records import (
    PLAYERS,
    Records,
    add_random_day,
    expected_marts,
    in_order,
    known_players,
)

GAME = landed_title("game", distance=50, gap_seconds=180)
DAY = timedelta(days=1)
# fifty days over three months, from a Friday
DAYS = [date(2024, 12, 20) + n * DAY for n in range(50)]
STAGES = ("stage_centroids", "stage_encounters")
MARTS = (
    "player_activity_daily",
    "country_monthly_playtime",
    "country_weekly_revenue",
    "player_consecutive_days_monthly",
    "player_stats_lifetime",
    "encounter_summary_daily",
    "session_close_encounters_daily",
)


def contents(warehouse: DbtWarehouse) -> dict[str, list[Row]]:
    """All rows of the tables that dbt builds."""
    return {
        **{name: in_order(warehouse.rows(f"game_stage.{name}")) for name in STAGES},
        **{name: in_order(warehouse.rows(f"game_mart.{name}")) for name in MARTS},
    }


def assert_marts_equal_brute_force(warehouse: DbtWarehouse, records: Records) -> None:
    built = contents(warehouse)
    expected = expected_marts(records, built["stage_encounters"])
    for name in MARTS:
        assert built[name] == in_order(expected[name]), name
    heartbeat_days = {day for day, _ in records.all("heartbeats")}
    assert {row["event_date"] for row in built["stage_centroids"]} == heartbeat_days


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[DbtWarehouse, Records]:
    """Fifty days, built and tested by one run of exactly them, and what is in them."""
    warehouse = DbtWarehouse(tmp_path_factory.mktemp("marts"))
    warehouse.create_tables(GAME)
    rng = np.random.default_rng(20250101)
    records = Records()
    for day in DAYS:
        # the first player leaves for good after three days, and nobody plays on the twenty-first
        here = [p for p in PLAYERS if p != PLAYERS[0] or day < DAYS[3]]
        if day != DAYS[20]:
            add_random_day(records, rng, day, here)
    # the day before belongs to no run; but its purchases are of the same ISO week
    day_before = DAYS[0] - DAY
    earlier = Records()
    add_random_day(earlier, rng, day_before, PLAYERS)
    records.of["transactions"][day_before] = earlier.of["transactions"][day_before]
    assert records.of["transactions"][day_before]
    earlier.load(warehouse, GAME, [day_before])
    records.load(warehouse, GAME, DAYS)
    warehouse.load(GAME, "dim_players", {date(2024, 1, 1): known_players()})
    run = warehouse.dbt(
        GAME, "build", "--exclude-resource-type", "unit_test", window=(DAYS[0], DAYS[-1] + DAY)
    )
    assert not run.unsuccessful, run.messages
    return warehouse, records


def test_marts_equal_brute_force(built: tuple[DbtWarehouse, Records]) -> None:
    warehouse, records = built
    assert_marts_equal_brute_force(warehouse, records)
    # the cases are there: with records or heartbeats only, and with both; most meet, some do not
    recorded = {row["session_id"] for _, row in records.all("sessions")}
    sent = {row["session_id"] for _, row in records.all("heartbeats")}
    met = {
        row["session_id"]: row["close_encounter_count"] > 0
        for row in warehouse.rows("game_mart.session_close_encounters_daily")
    }
    assert {met[session] for session in recorded - sent} == {False}
    assert {met[session] for session in sent - recorded} == {False, True}
    assert {met[session] for session in recorded & sent} == {False, True}


def test_a_run_replaces_its_days_and_nothing_else(built: tuple[DbtWarehouse, Records]) -> None:
    """An old day changes: it, its week, month and players change in the marts, and nothing else."""
    warehouse, records = built
    before = contents(warehouse)
    changed, unseen_day = DAYS[25], DAYS[40]
    players = {row["player_id"] for row in records.of["sessions"][changed]}
    rng = np.random.default_rng(7)
    for days in records.of.values():
        days[changed] = []
    add_random_day(records, rng, changed, [*PLAYERS[2:], PLAYERS[0]])
    players |= {row["player_id"] for row in records.of["sessions"][changed]}
    records.load(warehouse, GAME, [changed])
    # a day of another week and month changes in the raw tables only: it is not in the run
    unseen = Records()
    add_random_day(unseen, rng, unseen_day, PLAYERS)
    unseen.load(warehouse, GAME, [unseen_day])

    run = warehouse.dbt(
        GAME,
        *("build", "--exclude-resource-type", "unit_test", "seed"),
        window=(changed, changed + DAY),
    )
    assert not run.unsuccessful, run.messages
    # only what reads the rows that it replaces puts the new ones aside first
    written = run.times_written
    assert {*STAGES, *MARTS} <= written.keys()
    assert {table: times for table, times in written.items() if times > 1} == {
        "player_stats_lifetime": 2
    }
    # another window is no reason to parse the project again
    assert "no changes found, skipping parsing" in run.log
    assert_marts_equal_brute_force(warehouse, records)

    after = contents(warehouse)
    replaced: dict[str, tuple[str, set[Any]]] = {
        "stage_centroids": ("event_date", {changed}),
        "stage_encounters": ("event_date", {changed}),
        "player_activity_daily": ("calendar_date", {changed}),
        "encounter_summary_daily": ("calendar_day", {changed}),
        "session_close_encounters_daily": ("calendar_day", {changed}),
        "country_monthly_playtime": ("year_month", {changed.replace(day=1)}),
        "player_consecutive_days_monthly": ("year_month", {changed.replace(day=1)}),
        "country_weekly_revenue": ("year_week", {changed - changed.weekday() * DAY}),
        "player_stats_lifetime": ("player_id", players),
    }
    for table, (column, values) in replaced.items():
        assert after[table] != before[table], table
        rest = [row for row in after[table] if row[column] not in values]
        assert rest == [row for row in before[table] if row[column] not in values], table

    # a second run of the same day changes nothing
    assert warehouse.dbt(GAME, "run", window=(changed, changed + DAY)).success
    assert contents(warehouse) == after
    records.load(warehouse, GAME, [unseen_day])


def test_what_is_gone_from_the_records_is_gone_from_the_marts(
    built: tuple[DbtWarehouse, Records],
) -> None:
    """A day becomes empty, and a player's last days of play go: neither leaves a row."""
    warehouse, records = built
    emptied, gone = DAYS[30], PLAYERS[0]
    for days in records.of.values():
        days[emptied] = []
    days_of_gone = [
        day for day in DAYS if gone in {r["player_id"] for r in records.of["sessions"][day]}
    ]
    assert days_of_gone
    for day in days_of_gone:
        for dataset in ("sessions", "heartbeats"):
            records.of[dataset][day] = [
                row for row in records.of[dataset][day] if row["player_id"] != gone
            ]
    records.load(warehouse, GAME, [emptied, *days_of_gone])

    assert gone in {row["player_id"] for row in warehouse.rows("game_mart.player_stats_lifetime")}
    window = (days_of_gone[0], max(emptied, *days_of_gone) + DAY)
    assert warehouse.dbt(GAME, "run", window=window).success
    assert_marts_equal_brute_force(warehouse, records)
    assert gone not in {
        row["player_id"] for row in warehouse.rows("game_mart.player_stats_lifetime")
    }
    for table, column in (
        ("stage.stage_encounters", "event_date"),
        ("mart.player_activity_daily", "calendar_date"),
        ("mart.session_close_encounters_daily", "calendar_day"),
    ):
        assert not warehouse.rows(f"game_{table}", f"{column} = date '{emptied}'"), table
