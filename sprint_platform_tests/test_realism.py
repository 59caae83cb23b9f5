"""`sprint realism`: every figure against plain Python over a small game's records; verdicts."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise
from math import dist
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import polars as pl
import pytest

from sprint_platform.dashboard.app import build_app, draw
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.operations.realism import (
    RealismError,
    Report,
    Verdict,
    figures,
    measure,
    realism,
    report,
)
from sprint_platform.simulation.world import World
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform_tests.built_marts import publish_built
from sprint_platform_tests.command_line import run_sprint
from sprint_platform_tests.dbt_runs import landed_title
from sprint_platform_tests.worlds import compound, title_like

DAY = timedelta(days=1)
LAUNCH = date(2025, 1, 1)
DAYS = [LAUNCH + n * DAY for n in range(160)]
# one of them is the 7th after a cohort's sign-up, and all three lie in one week and month
HOLE = {date(2025, 3, 10), date(2025, 3, 11), date(2025, 3, 12)}
ZONES = ("Europe/Paris", "America/New_York", "Asia/Kathmandu", "nowhere")
# leap opens with a wave, states its retention, and has a grid 200 wide
LEAP = Title.load("leap")

Row = dict[str, Any]


@dataclass
class Game:
    """Records by dataset, each row with its day."""

    days: list[date]
    players: list[Row] = field(default_factory=list)
    signons: list[Row] = field(default_factory=list)
    sessions: list[Row] = field(default_factory=list)
    transactions: list[Row] = field(default_factory=list)
    heartbeats: list[Row] = field(default_factory=list)
    centroids: list[Row] = field(default_factory=list)

    def without(self, missing: set[date]) -> Game:
        """The game of which these days were never made."""
        parts = {
            name: [row for row in getattr(self, name) if row["event_date"] not in missing]
            for name in ("signons", "sessions", "transactions", "heartbeats", "centroids")
        }
        return Game([d for d in self.days if d not in missing], self.players, **parts)


def game_of(seed: int) -> Game:
    """Five months of 1,000 players, a third of whom come in the launch week."""
    random, game = Random(seed), Game(DAYS)
    for number in range(1000):
        signup = DAYS[random.randrange(7) if number % 3 == 0 else random.randrange(7, 130)]
        player = {
            "player_id": UUID(int=number + 1),
            "time_zone": random.choice(ZONES),
            "signup_date": signup,
            "payer": number % 2 == 0,
        }
        game.players.append(player)
        for day in DAYS[(signup - LAUNCH).days :]:
            age = (day - signup).days
            if random.random() < 0.8 * (age + 1) ** -0.5:
                row = {"player_id": player["player_id"], "event_date": day}
                game.signons.append(row)
                if random.random() < 0.9:
                    game.sessions += matches(random, row)
                if player["payer"] and random.random() < 0.2:
                    game.transactions += purchases(random, row)
    for day in DAYS[10:70:20]:
        for row in [row for row in game.sessions if row["event_date"] == day][:12]:
            game.heartbeats += beats(random, row)
            game.centroids += centroids(random, row)
    return game


def matches(random: Random, row: Row) -> list[Row]:
    found = []
    at = datetime.combine(row["event_date"], datetime.min.time()) + timedelta(
        seconds=random.randrange(80_000)
    )
    for _ in range(random.randrange(1, 5)):
        end = at + timedelta(seconds=random.choice((60, 600, 1200, 5000)))
        session = UUID(int=random.getrandbits(128))
        found.append({**row, "session_id": session, "started_at": at, "event_datetime": end})
        # a gap of exactly 10 minutes ends a sitting; matches may overlap, too
        at = end + timedelta(seconds=random.choice((-30, 0, 599, 600, 601, 3000)))
        if at.date() > row["event_date"]:
            break
    return found


def purchases(random: Random, row: Row) -> list[Row]:
    return [
        {
            **row,
            "transaction_id": UUID(int=random.getrandbits(128)),
            "purchase_price": random.choice((0.99, 5.0, 5.01, 20.0, 60.0)),
            "currency": random.choice(("USD", "USD", "USD", "EUR")),
        }
        for _ in range(random.choice((1, 1, 1, 2, 5)))
    ]


def beats(random: Random, row: Row) -> list[Row]:
    return [
        {
            **row,
            # not to the second, and every fifth is lost
            "event_datetime": row["started_at"] + timedelta(seconds=30 * n + random.randrange(4)),
            **{f"position_{axis}": round(random.uniform(-100, 100), 2) for axis in "xyz"},
        }
        for n in range(20)
        if random.random() < 0.8
    ]


def centroids(random: Random, row: Row) -> list[Row]:
    return [
        {
            "session_id": row["session_id"],
            "event_date": row["event_date"],
            "event_datetime": row["started_at"] + timedelta(seconds=30 * n),
            "team_id": team,
            **{f"centroid_{axis}": random.uniform(-100, 100) for axis in "xyz"},
        }
        for n in range(5)
        for team in (1, 2, 3)
        if random.random() < 0.9
    ]


# --- by brute force ------------------------------------------------------------------------------


def expected(game: Game) -> dict[str, float]:
    """Every figure, player by player and day by day."""
    return {
        **retention(game),
        **activity(game),
        **sittings(game),
        **spending(game),
        **movement(game),
    }


def retention(game: Game) -> dict[str, float]:
    came = {(row["player_id"], row["event_date"]) for row in game.signons}
    cohorts = [p for p in game.players if p["signup_date"] >= LAUNCH + 7 * DAY]

    def back(age: int, among: list[Row]) -> list[bool]:
        return [(p["player_id"], p["signup_date"] + age * DAY) in came for p in among]

    def old(age: int) -> list[Row]:
        return [p for p in cohorts if p["signup_date"] + age * DAY in game.days]

    both = [p for p in old(30) if p in old(90)]
    return {
        **{f"d{age}": 100 * mean(back(age, old(age))) for age in (1, 7, 30)},
        "d90_of_d30": sum(back(90, both)) / sum(back(30, both)),
    }


def activity(game: Game) -> dict[str, float]:
    active: dict[date, set[UUID]] = {day: set() for day in game.days}
    for row in game.sessions:
        active[row["event_date"]].add(row["player_id"])
    monthly = monthly_players(game)
    stickiness = [
        len(active[day]) / monthly[day]
        for day in game.days
        if day >= date(2025, 3, 1) and monthly[day]
    ]
    mondays = [d for d in game.days if d.weekday() == 0 and d >= LAUNCH + 7 * DAY]
    weeks = [[d + n * DAY for n in range(7)] for d in mondays]
    whole = [week for week in weeks if all(d in game.days for d in week)]
    weekend = mean(len(active[d]) for week in whole for d in week[5:])
    weekdays = mean(len(active[d]) for week in whole for d in week[:5])
    found = {"stickiness": mean(stickiness), "weekend": 100 * (weekend / weekdays - 1)}
    peak = max(len(active[LAUNCH + n * DAY]) for n in range(7))
    found["launch_decay"] = len(active[LAUNCH + 30 * DAY]) / peak
    return found


def monthly_players(game: Game) -> dict[date, int | None]:
    """Of each day, the players of the 28 days that end with it; None where one is missing."""
    played = defaultdict(set)
    for row in game.sessions:
        played[row["event_date"]].add(row["player_id"])
    found: dict[date, int | None] = {}
    for day in game.days:
        span = [day - n * DAY for n in range(28) if day - n * DAY >= LAUNCH]
        known = all(d in game.days for d in span)
        found[day] = len(set().union(*(played[d] for d in span))) if known else None
    return found


def sittings(game: Game) -> dict[str, float]:
    zone_of = {p["player_id"]: p["time_zone"] for p in game.players}
    of_player = defaultdict(list)
    evenings = []
    for row in game.sessions:
        of_player[row["player_id"]].append((row["started_at"], row["event_datetime"]))
        if zone_of[row["player_id"]] != "nowhere":
            there = (
                row["started_at"]
                .replace(tzinfo=UTC)
                .astimezone(ZoneInfo(zone_of[row["player_id"]]))
            )
            evenings.append(17 <= there.hour < 22)
    minutes = []
    for times in of_player.values():
        start, end = min(times)
        for began, ended in sorted(times)[1:]:
            if began - end < timedelta(minutes=10):
                end = max(end, ended)
            else:
                minutes.append((end - start).total_seconds() / 60)
                start, end = began, ended
        minutes.append((end - start).total_seconds() / 60)
    return {
        "sitting_median": median(minutes),
        "sitting_p95": float(np.quantile(minutes, 0.95)) / median(minutes),
        "evening": 100 * mean(evenings),
    }


def spending(game: Game) -> dict[str, float]:
    dollars = [r["purchase_price"] for r in game.transactions if r["currency"] == "USD"]
    paid: Counter[UUID] = Counter()
    for row in game.transactions:
        paid[row["player_id"]] += row["purchase_price"]
    top = sorted(paid.values(), reverse=True)[: -(-len(paid) // 10)]
    small = [price for price in dollars if price <= 5]
    found = {
        "purchase_mean": mean(dollars),
        "small_purchases": 100 * len(small) / len(dollars),
        "small_revenue": 100 * sum(small) / sum(dollars),
        "top_tenth": 100 * sum(top) / sum(paid.values()),
    }
    months = {1: 31, 2: 28, 3: 31, 4: 30, 5: 31, 6: 30}
    whole = [m for m, days in months.items() if sum(d.month == m for d in game.days) == days]
    payers, active = defaultdict(list), set()
    for row in game.transactions:
        if row["event_date"].month in whole:
            payers[row["player_id"], row["event_date"].month].append(row)
    for row in game.sessions:
        if row["event_date"].month in whole:
            active.add((row["player_id"], row["event_date"].month))
    in_dollars = [
        [r["purchase_price"] for r in rows if r["currency"] == "USD"] for rows in payers.values()
    ]
    return found | {
        "payer_share": 100 * len(payers) / len(active),
        "buy_1_time": 100 * mean(len(rows) == 1 for rows in payers.values()),
        "buy_5_times": 100 * mean(len(rows) >= 5 for rows in payers.values()),
        "revenue_per_payer": mean(sum(prices) for prices in in_dollars if prices),
    }


def movement(game: Game) -> dict[str, float]:
    paths, teams = defaultdict(list), defaultdict(list)
    for row in game.heartbeats:
        place = tuple(row[f"position_{axis}"] for axis in "xyz")
        paths[row["session_id"], row["player_id"]].append((row["event_datetime"], place))
    steps = [
        dist(before[1], after[1])
        for path in paths.values()
        for before, after in pairwise(sorted(path))
        if 15 <= (after[0] - before[0]).total_seconds() <= 45
    ]
    for row in game.centroids:
        place = tuple(row[f"centroid_{axis}"] for axis in "xyz")
        teams[row["session_id"], row["event_datetime"]].append(place)
    apart = [dist(one, two) for found in teams.values() for one, two in combinations(found, 2)]
    return {"step": median(steps), "team_distance": median(apart)}


# --- in a warehouse ------------------------------------------------------------------------------

TABLES = {
    "dim_players": "players",
    "signons": "signons",
    "sessions": "sessions",
    "transactions": "transactions",
    "heartbeats": "heartbeats",
}
# what no figure reads, and no column may be without
FILLED = {"uuid": "uuid()", "varchar": "''", "timestamp": "timestamp '2025-01-01'"}


def load(con: duckdb.DuckDBPyConnection, title: Title, game: Game) -> None:
    """The game in the title's tables, and the marts that are read of it."""
    ensure_title_schemas(con, title.name)
    for dataset, name in TABLES.items():
        contract = DATASETS[dataset]
        rows = getattr(game, name)
        if not rows:
            continue
        records = frame(rows)
        con.register("records", records.to_arrow())
        columns = [
            f"cast({c.name} as {c.duckdb_type})"
            if c.name in records.columns
            else FILLED.get(c.duckdb_type.lower(), "1")
            for c in contract.table_columns
        ]
        con.execute(
            f"insert into {contract.relation(title.name)} select {', '.join(columns)} from records"
        )
        con.unregister("records")
    mart, stage = f"{title.name}_mart", f"{title.name}_stage"
    monthly = monthly_players(game)
    active = Counter(
        day for _, day in {(row["player_id"], row["event_date"]) for row in game.sessions}
    )
    tables = {
        # of two countries, as a day's figures are sums over them
        f"{mart}.kpi_daily": [
            {
                "calendar_date": day,
                "country": "US" if half == 0 else "BR",
                "active_players": active[day] - half,
                "monthly_active_players": monthly[day] if half == 0 else monthly[day] and 0,
            }
            for day in game.days
            for half in (0, active[day])
        ],
        f"{mart}.player_consecutive_days_monthly": [
            {"player_id": player, "year_month": month}
            for player, month in {
                (r["player_id"], r["event_date"].replace(day=1)) for r in game.sessions
            }
        ],
        f"{stage}.stage_centroids": game.centroids,
    }
    for relation, rows in tables.items():
        if rows:
            con.register("records", frame(rows).to_arrow())
            con.execute(f"create table {relation} as from records")
            con.unregister("records")


def frame(rows: list[Row]) -> pl.DataFrame:
    """The rows; ids as text, which DuckDB casts."""
    return pl.DataFrame(
        [{k: str(v) if isinstance(v, UUID) else v for k, v in row.items()} for row in rows],
        infer_schema_length=None,
    )


@pytest.fixture(scope="module")
def game() -> Game:
    return game_of(20250101)


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield con


@pytest.mark.parametrize("missing", [set(), HOLE], ids=["every day", "a hole"])
def test_every_figure_is_that_of_plain_python(
    game: Game, missing: set[date], warehouse: duckdb.DuckDBPyConnection
) -> None:
    made = game.without(missing)
    load(warehouse, LEAP, made)
    found = measure(warehouse, LEAP)
    assert (found.first, found.last, found.missing) == (DAYS[0], DAYS[-1], len(missing))
    values = {each.figure.id: each.value for each in found.figures if each.value is not None}
    wanted = expected(made)
    # what is a sum over all days is not known without some of them
    unknown = {"top_tenth"} if missing else set()
    assert set(wanted) - set(values) == unknown
    assert values == pytest.approx({name: wanted[name] for name in values})
    assert {each.verdict for each in found.figures} >= {Verdict.GREEN, Verdict.RED}


def test_what_a_hole_makes_unknown_says_how_many_days_are_missing(
    game: Game, warehouse: duckdb.DuckDBPyConnection
) -> None:
    load(warehouse, LEAP, game.without({LAUNCH + 3 * DAY}))
    found = by_id(measure(warehouse, LEAP))
    launch = found["launch_decay"]
    assert (launch.verdict, launch.value) == (Verdict.NOT_MEASURED, None)
    assert launch.why.endswith("there are 0 (days missing: 1)")
    assert found["top_tenth"].verdict is Verdict.NOT_MEASURED


def test_one_day_is_too_few_for_all_that_takes_more(
    game: Game, warehouse: duckdb.DuckDBPyConnection
) -> None:
    load(warehouse, LEAP, game.without(set(DAYS[1:])))
    found = by_id(measure(warehouse, LEAP))
    assert {each.verdict for each in found.values()} == {Verdict.NOT_MEASURED}
    assert found["d1"].why == (
        "it takes 100 players who signed up after the launch week, 1 day ago or more, and there"
        " are 0"
    )


def test_a_studios_game_says_what_was_not_landed(
    game: Game, warehouse: duckdb.DuckDBPyConnection
) -> None:
    landed = landed_title("arena", distance=50, gap_seconds=180)
    load(warehouse, landed, Game(DAYS, sessions=game.sessions))
    found = by_id(measure(warehouse, landed))
    for name in ("purchase_mean", "payer_share", "top_tenth"):
        assert found[name].why == "no purchases were landed"
    for name in ("d1", "evening"):
        assert found[name].why == "no players were landed"
    assert found["step"].why == "no heartbeats were landed"
    # a launch that was landed is measured
    wanted = expected_without_people(game)
    for name, value in wanted.items():
        assert found[name].value == pytest.approx(value)
    assert found["d1"].own is None


def expected_without_people(game: Game) -> dict[str, float]:
    found = activity(game) | sittings(game)
    del found["evening"]
    return found


def test_who_has_no_sign_ons_counts_by_play(
    game: Game, warehouse: duckdb.DuckDBPyConnection
) -> None:
    played = [
        dict(zip(("player_id", "event_date"), row, strict=True))
        for row in {(r["player_id"], r["event_date"]) for r in game.sessions}
    ]
    load(warehouse, LEAP, Game(DAYS, game.players, [], game.sessions))
    found = by_id(measure(warehouse, LEAP))
    wanted = retention(Game(DAYS, game.players, played))
    assert {name: found[name].value for name in wanted} == pytest.approx(wanted)


@pytest.mark.parametrize(
    "growth",
    [
        {"kind": "steady", "active_players": 100},
        {"kind": "target", "players": 1000, "days": 100, "launch_share": 0},
        compound(100),
    ],
    ids=lambda growth: growth["kind"],
)
def test_a_title_without_a_wave_has_no_launch_to_measure(
    growth: Any, game: Game, warehouse: duckdb.DuckDBPyConnection
) -> None:
    title = title_like("leap", simulation__growth=growth)
    load(warehouse, title, game)
    found = measure(warehouse, title)
    assert by_id(found)["launch_decay"].verdict is Verdict.NOT_APPLICABLE
    assert found.counts()[Verdict.NOT_APPLICABLE] == 1
    assert sum(found.counts().values()) == 18
    # compound growth has a decay and no retention that players could come back by
    says = {name: "no retention of its own" in by_id(found)[name].why for name in ("d1", "d7")}
    assert set(says.values()) == {growth["kind"] == "compound"}
    assert by_id(found)["d1"].verdict in (Verdict.GREEN, Verdict.RED)


def test_retention_is_also_held_against_the_titles_own(
    game: Game, warehouse: duckdb.DuckDBPyConnection
) -> None:
    load(warehouse, LEAP, game)
    value = retention(game)["d1"]
    assert LEAP.simulation is not None
    assert LEAP.simulation.retention is not None

    def verdict(d1: float) -> tuple[Verdict, str]:
        own = LEAP.simulation.retention.model_copy(update={"d1": d1 / 100})
        title = LEAP.model_copy(
            update={"simulation": LEAP.simulation.model_copy(update={"retention": own})}
        )
        found = by_id(measure(warehouse, title))["d1"]
        return found.verdict, found.why

    green, why = verdict(value + 1.4)
    assert green is Verdict.GREEN
    assert re.fullmatch(r"in the band, of \d+ players who signed up .*", why)
    red, why = verdict(value + 1.6)
    assert red is Verdict.RED
    assert why.startswith("1.6 points below the title's own")


# --- the shipped titles ---------------------------------------------------------------------------

# Four months are long enough to measure every row; docs/realism.md has the figures of a year.
HISTORY = [LAUNCH + n * DAY for n in range(120)]


def simulated(con: duckdb.DuckDBPyConnection, title: Title) -> None:
    """The title's first months in its tables, heartbeats of six days, and the marts it takes."""
    ensure_title_schemas(con, title.name)
    world = World(title)
    for dataset in TABLES:
        days = HISTORY[::20] if dataset == "heartbeats" else HISTORY
        contract = DATASETS[dataset]
        for day in days:
            for records in getattr(world, dataset)(day):
                con.register("records", records)
                con.execute(
                    f"insert into {contract.relation(title.name)} by name"
                    f" select *, date '{day}' as {contract.partition_column} from records"
                )
                con.unregister("records")
    raw, stage, mart = (f"{title.name}_{schema}" for schema in ("raw", "stage", "mart"))
    con.execute(f"""
        create table played as select distinct event_date, player_id from {raw}.event_session;
        create table {mart}.kpi_daily as
            select of.event_date as calendar_date,
                count(distinct p.player_id) filter (p.event_date = of.event_date) as active_players,
                count(distinct p.player_id) as monthly_active_players
            from (select distinct event_date from played) as of
            join played as p on p.event_date between of.event_date - 27 and of.event_date
            group by 1;
        create table {mart}.player_consecutive_days_monthly as
            select distinct player_id, date_trunc('month', event_date) as year_month from played;
        create table {stage}.stage_centroids as
            select event_date, session_id, team_id, event_datetime, avg(position_x) as centroid_x,
                avg(position_y) as centroid_y, avg(position_z) as centroid_z
            from {raw}.event_heartbeat group by all
    """)


@pytest.mark.parametrize("name", ["sprint", "leap", "launch"])
def test_a_shipped_title_is_as_real_games_are(
    name: str, warehouse: duckdb.DuckDBPyConnection
) -> None:
    title = Title.load(name)
    if name == "launch":
        assert title.simulation is not None
        # a three-hundredth of its players
        growth = title.simulation.growth.model_copy(update={"players": 60_000})
        title = title_like(name, simulation__growth=growth.model_dump())
    simulated(warehouse, title)
    found = measure(warehouse, title)
    counts = found.counts()
    assert counts[Verdict.NOT_MEASURED] == 0, [f.why for f in found.figures]
    assert counts[Verdict.NOT_APPLICABLE] == (name == "sprint")
    red = {f.figure.id: (f.value, f.why) for f in found.figures if f.verdict is Verdict.RED}
    assert counts[Verdict.GREEN] >= 16, red


def test_the_report_has_eighteen_rows_with_bands_and_sources() -> None:
    assert sorted({figure.number for figure in figures()}) == list(range(1, 19))
    for figure in figures():
        low, high = figure.band
        assert low < high, figure.id
        assert figure.source, figure.id
        assert figure.confidence in ("high", "medium", "low"), figure.id


def by_id(found: Report) -> dict[str, Any]:
    return {each.figure.id: each for each in found.figures}


# --- what people see -----------------------------------------------------------------------------


@pytest.mark.usefixtures("data_folder")
def test_a_title_of_which_nothing_is_built_says_what_to_run() -> None:
    with pytest.raises(RealismError, match="no day of leap is built: sprint run --title leap"):
        realism(LEAP)


def test_the_command_and_the_page_show_what_was_measured(game: Game, data_folder: Path) -> None:
    with connect() as con:
        load(con, LEAP, game)
        publish_built(con, "leap", ["leap_mart.kpi_daily"])
        report(con, LEAP)
    ended = run_sprint(["realism", "--title", "leap"], {**os.environ, "NO_COLOR": "1"})
    assert ended.returncode == 0, ended.stderr
    step = f"{movement(game)['step']:.1f} units"
    (line,) = [line for line in ended.stdout.splitlines() if "step per beat" in line]
    assert step in line
    assert "12 to 28 units" in line
    assert "red" in line
    assert "above the band" in line
    assert " of 18 rows as in real games; " in ended.stdout
    with duckdb.connect(str(data_folder / "published" / "sprint.duckdb"), read_only=True) as con:
        rows = con.execute(
            "select count(*), count(distinct number) from leap_mart.realism_report"
        ).fetchone()
    assert rows == (20, 18)
    build_app()
    page = str(draw("/realism", "?title=leap", "", None)[0])
    assert f"Td('{step}')" in page
    assert "Measured on 1 Jan – 9 Jun 2025" in page
