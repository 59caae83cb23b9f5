"""The KPI marts against brute force: built at once, in any order of days, after a day changed."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from sprint_platform_tests.dbt_runs import DbtWarehouse, Row, landed_title
from sprint_platform_tests.game_records import (
    COUNTRIES,
    PLAYERS,
    Records,
    add_heartbeat,
    add_random_day,
    add_record,
    id_of,
    known_players,
)
from sprint_platform_tests.kpi_records import SignUp, SignUps, expected_kpis

GAME = landed_title("game", distance=50, gap_seconds=180)
DAY = timedelta(days=1)
# over four months, from a Wednesday; some sign up on the way, and come back after 90 days
DAYS = [date(2025, 1, 1) + n * DAY for n in range(112)]
# nobody plays, and nobody buys
QUIET = DAYS[50]
# some buy, and nobody plays
SHOPPING = DAYS[51]
# all but the last four players, who are in no dim_players
SIGN_UPS: SignUps = {
    player: SignUp(DAYS[0] + [0, 0, 1, 3, 7, 40][n % 6] * DAY, COUNTRIES[n % 6])
    for n, player in enumerate(PLAYERS[:-4])
}
KPIS = (
    "kpi_daily",
    "cohort_retention",
    "concurrency_5_minutes",
    "cohort_revenue",
    "spender_concentration_monthly",
    "player_rfm_monthly",
    "player_churn_weekly",
    "encounter_rates_daily",
    "position_heat_daily",
)


def add_day(records: Records, rng: np.random.Generator, day: date, players: list[Any]) -> None:
    """A random day, a purchase that costs nothing, and sessions that a moment's count may get
    wrong."""
    add_random_day(records, rng, day, players)
    purchases = records.of["transactions"][day]
    free = {"transaction_id": id_of(day, 90), "player_id": players[-1]}
    purchases.append({**purchases[0], **free, "purchase_price": Decimal("0.00")})
    midnight = datetime.combine(day, datetime.min.time())
    seat = {"session_id": id_of(day, 20), "player_id": players[0], "team_id": 1}
    # over midnight, to the second of a moment, and one within it
    add_record(records, seat, midnight + timedelta(hours=23), 7200, 1, 0, "US")
    twice = {**seat, "session_id": id_of(day, 21)}
    add_record(records, twice, midnight + timedelta(hours=23, minutes=30), 600, 0, 1, "US")
    records.of["heartbeats"][day] += [
        {
            **seat,
            "event_datetime": midnight + timedelta(hours=23, seconds=30 * n),
            **{f"position_{axis}": Decimal(value) for axis, value in zip("xyz", at, strict=True)},
        }
        for n, at in enumerate((("-5.00", "0.00", "1"), ("-5.01", "4.99", "1"), ("5", "-100", "1")))
    ]


@pytest.fixture(scope="module")
def records() -> Records:
    rng = np.random.default_rng(20250101)
    made = Records()
    for n, day in enumerate(DAYS):
        # fewer and fewer stay: some leave for good, some for weeks
        here = [p for m, p in enumerate(PLAYERS) if m % 4 != 1 or n < 30 or n > 75]
        here = [p for m, p in enumerate(here) if m % 5 != 2 or n < 20]
        if day != QUIET:
            add_day(made, rng, day, here)
    for dataset in ("sessions", "heartbeats"):
        made.of[dataset][SHOPPING] = []
    # a session of a whole day, the longest that there is
    seat = {"session_id": id_of(DAYS[5], 22), "player_id": PLAYERS[3], "team_id": 1}
    start = datetime.combine(DAYS[5], datetime.min.time()) + timedelta(hours=4)
    add_record(made, seat, start, 86_400, 0, 0, "FR")
    add_heartbeat(made, rng, seat, start)
    return made


def sign_ups_by_day() -> dict[date, list[Row]]:
    by_day: dict[date, list[Row]] = {}
    for row in known_players():
        signed_up = SIGN_UPS[row["player_id"]]
        moment = datetime.combine(signed_up.day, datetime.min.time())
        by_day.setdefault(signed_up.day, []).append(
            {**row, "country": signed_up.country, "signed_up_at": moment}
        )
    return by_day


def load(warehouse: DbtWarehouse, records: Records, days: list[date]) -> None:
    records.load(warehouse, GAME, days)
    signed_up = sign_ups_by_day()
    # as in the graph: players come with all sign-up days up to the run's last one
    until = {day: rows for day, rows in signed_up.items() if day <= days[-1]}
    warehouse.load(GAME, "dim_players", until)


def build(warehouse: DbtWarehouse, first: date, last: date) -> None:
    run = warehouse.dbt(
        GAME, "build", "--exclude-resource-type", "unit_test", window=(first, last + DAY)
    )
    assert not run.unsuccessful, (first, run.messages)


def comparable(rows: list[Row]) -> list[tuple[Any, ...]]:
    """In an order of their own; a share to ten digits, as engines divide in other orders."""
    return sorted(
        tuple(
            f"{float(value):.10g}" if isinstance(value, float | Decimal) else str(value)
            for _, value in sorted(row.items())
        )
        for row in rows
    )


def marts(warehouse: DbtWarehouse) -> dict[str, list[Row]]:
    return {name: warehouse.rows(f"game_mart.{name}") for name in KPIS}


def assert_kpis(warehouse: DbtWarehouse, records: Records, missing: Collection[date] = ()) -> None:
    met = warehouse.rows("game_mart.session_close_encounters_daily")
    expected = expected_kpis(records, SIGN_UPS, met, missing)
    for name, rows in marts(warehouse).items():
        assert comparable(rows) == comparable(expected[name]), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, records: Records) -> DbtWarehouse:
    """All days, built and tested at once."""
    warehouse = DbtWarehouse(tmp_path_factory.mktemp("kpis"), log_level="info")
    warehouse.create_tables(GAME)
    load(warehouse, records, DAYS)
    build(warehouse, DAYS[0], DAYS[-1])
    return warehouse


@pytest.fixture
def changing(whole: DbtWarehouse) -> Iterator[DbtWarehouse]:
    """The warehouse, as it was again after the test."""
    database = whole.folder / "sprint.duckdb"
    before = shutil.copy(database, whole.folder / "before.duckdb")
    yield whole
    shutil.move(before, database)


def test_marts_equal_brute_force(whole: DbtWarehouse, records: Records) -> None:
    assert_kpis(whole, records)
    # the cases are there
    found = marts(whole)
    assert {row["churned"] for row in found["player_churn_weekly"]} == {True, False, None}
    assert {row["day_number"] for row in found["cohort_retention"]} == {1, 3, 7, 14, 30, 60, 90}
    assert len({row["segment"] for row in found["player_rfm_monthly"]}) >= 5
    quiet = {row["calendar_date"] for row in found["kpi_daily"]}
    assert QUIET not in quiet
    assert SHOPPING in quiet
    early = [row for row in found["concurrency_5_minutes"] if row["slot_started_at"].hour == 0]
    assert any(row["players_online"] for row in early), "sessions go on after midnight"
    rates = [row["encounters_per_session_hour"] for row in found["encounter_rates_daily"]]
    assert len([rate for rate in rates if rate]) > 100


def test_days_in_any_order_come_to_the_same(changing: DbtWarehouse, records: Records) -> None:
    """Loaded and built in parts: later days first, one alone, earlier ones last."""
    built = {name: comparable(rows) for name, rows in marts(changing).items()}
    (changing.folder / "sprint.duckdb").unlink()
    changing.create_tables(GAME)
    for first, last in ((60, 60), (61, 111), (1, 49), (0, 0), (50, 59)):
        load(changing, records, DAYS[first : last + 1])
        build(changing, DAYS[first], DAYS[last])
    assert {name: comparable(rows) for name, rows in marts(changing).items()} == built


def test_a_day_that_changes_changes_what_stands_on_it(
    changing: DbtWarehouse, records: Records
) -> None:
    """A day gets other records, another loses all: what looked ahead or back to them follows."""
    changed = Records()
    for dataset, days in records.of.items():
        for day, rows in days.items():
            changed.of[dataset][day] = list(rows)
    for dataset in ("sessions", "heartbeats", "transactions"):
        changed.of[dataset][DAYS[20]] = []
        changed.of[dataset][DAYS[70]] = []
    add_day(changed, np.random.default_rng(7), DAYS[70], PLAYERS[::-1])
    before = marts(changing)
    for day in (DAYS[20], DAYS[70]):
        load(changing, changed, [day])
        build(changing, day, day)
    assert_kpis(changing, changed)
    for name, rows in marts(changing).items():
        assert rows != before[name], name


def test_what_looks_back_on_a_missing_day_is_null_until_it_is_made(
    changing: DbtWarehouse, records: Records
) -> None:
    """Also the launch day may be missing; the days before it are no hole. Who looks back nowhere,
    or not so far, has its figures."""
    whole = {name: comparable(rows) for name, rows in marts(changing).items()}
    missing = {DAYS[0], DAYS[40], DAYS[75], DAYS[76]}
    (changing.folder / "sprint.duckdb").unlink()
    changing.create_tables(GAME)
    there = Records()
    for dataset in ("sessions", "heartbeats", "transactions"):
        there.of[dataset].update(
            {day: records.of[dataset][day] for day in DAYS if day not in missing}
        )
    there.load(changing, GAME, [day for day in DAYS if day not in missing])
    changing.load(GAME, "dim_players", sign_ups_by_day())
    build(changing, DAYS[0], DAYS[-1])
    assert_kpis(changing, there, missing)
    kpis = {row["calendar_date"]: row for row in marts(changing)["kpi_daily"]}
    for day, weekly, monthly in ((6, False, False), (7, True, False), (28, True, True)):
        assert (kpis[DAYS[day]]["weekly_active_players"] is not None) == weekly
        assert (kpis[DAYS[day]]["monthly_active_players"] is not None) == monthly
        assert (kpis[DAYS[day]]["stickiness"] is not None) == monthly

    for day in sorted(missing, reverse=True):
        load(changing, records, [day])
        changing.load(GAME, "dim_players", sign_ups_by_day())
        build(changing, day, day)
    assert {name: comparable(rows) for name, rows in marts(changing).items()} == whole


def test_what_was_built_before_a_hole_is_what_would_be_built_after_it(
    changing: DbtWarehouse, records: Records
) -> None:
    """The hole begins in a month, and ends in the next: nobody builds the month again for it."""
    (changing.folder / "sprint.duckdb").unlink()
    changing.create_tables(GAME)
    for first, last in ((0, 87), (95, 111)):
        load(changing, records, DAYS[first : last + 1])
        build(changing, DAYS[first], DAYS[last])
    in_turn = {name: comparable(rows) for name, rows in marts(changing).items()}
    build(changing, DAYS[0], DAYS[-1])
    assert {name: comparable(rows) for name, rows in marts(changing).items()} == in_turn


def forget(warehouse: DbtWarehouse, day: date) -> None:
    """As if the day had never been loaded."""
    with warehouse.connect() as con:
        con.execute(f"delete from game_raw.loaded_partitions where partition_date = '{day}'")
        con.execute(f"delete from game_raw.built_from where period = '{day}'")


def test_an_empty_day_of_a_landed_title_is_no_hole(
    changing: DbtWarehouse, records: Records
) -> None:
    """Nothing says that a day without files should have some."""
    forget(changing, DAYS[100])
    select = ("run", "--select", "kpi_daily", "cohort_revenue", "concurrency_5_minutes")
    run = changing.dbt(
        GAME, *select, window=(DAYS[101], DAYS[102]), environment={"SPRINT_SOURCE": "landing"}
    )
    assert run.success, run.messages
    assert_kpis(changing, records)
