"""Encounters in dbt against brute force, on random sessions."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest

from sprint_platform_tests.dbt_runs import DbtWarehouse, Row, landed_title

ARENA = landed_title("arena", distance=50, gap_seconds=180)
BEAT = timedelta(seconds=30)
FIRST_DAY = date(2031, 5, 29)
DAYS = 4
HALFWAY_SESSIONS = 10


def hashed_id(*parts: object) -> UUID:
    """A UUID of version 8 that depends on nothing but these parts."""
    bits = int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=16).digest())
    return UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 8 << 76 | 2 << 62)


# --- random sessions -----------------------------------------------------------------------------


def random_session(rng: np.random.Generator, number: int) -> tuple[list[Row], list[Row]]:
    """A session's records and heartbeats: teams on a random walk who lose beats, and players who
    come late, leave, send twice in a beat, change sides, and play on after midnight."""
    day = FIRST_DAY + timedelta(days=int(rng.integers(DAYS)))
    start = datetime.combine(day, datetime.min.time()) + timedelta(
        # one in three starts so late that it ends on the next day; some off the whole second
        seconds=int(rng.integers(86_000, 86_400) if number % 3 == 0 else rng.integers(80_000)),
        microseconds=int(rng.choice([0, 0, 250_000])),
    )
    session, beats = hashed_id("session", number), int(rng.integers(1, 90))
    teams = int(rng.integers(1, 6))
    # on a coarse lattice many pairs are exactly 50 apart (30-40-0); on a fine one few are
    step = int(rng.choice([1000, 1000, 1]))
    jittered = number % 4 == 1
    records: list[Row] = []
    heartbeats: list[Row] = []
    for team in range(1, teams + 1):
        spawn = rng.integers(-4, 5, 3) * 1000
        for seat in range(int(rng.integers(1, 6))):
            player = hashed_id("player", number, team, seat)
            path = spawn + np.cumsum(rng.integers(-1, 2, (beats, 3)) * step, axis=0)
            path = np.clip(path, -10_000, 10_000)
            joins, leaves = (
                sorted(rng.integers(0, beats + 1, 2)) if rng.random() < 0.3 else (0, beats)
            )
            for beat in range(joins, leaves):
                if rng.random() < 0.15:
                    continue
                at = start + beat * BEAT
                if jittered:
                    at += timedelta(microseconds=int(rng.integers(30_000_000)))
                times = {at}
                if rng.random() < 0.05:
                    times.add(at + timedelta(seconds=int(rng.integers(1, 30))))
                for n, when in enumerate(sorted(times)):
                    x, y, z = (Decimal(int(v) + n * 700) / 100 for v in path[beat])
                    heartbeats.append(
                        {
                            "session_id": session,
                            "player_id": player,
                            "team_id": team if rng.random() > 0.01 else team % teams + 1,
                            "event_datetime": when,
                            "position_x": x,
                            "position_y": y,
                            "position_z": z,
                            "event_date": day,
                        }
                    )
            # every seventh session has no record at all: its clock starts with its first heartbeat
            if number % 7 != 6:
                records.append(
                    {
                        "session_id": session,
                        "player_id": player,
                        "team_id": team,
                        "country": "ZZ",
                        "started_at": start + joins * BEAT,
                        "event_datetime": start + leaves * BEAT,
                        "event_length_seconds": (leaves - joins) * 30,
                        "kills": 0,
                        "deaths": 0,
                        "event_date": day,
                    }
                )
    return records, heartbeats


def halfway_session(rng: np.random.Generator, number: int) -> list[Row]:
    """Heartbeats of two teams of 8, 16 or 24 on a line, at beats too far apart for one encounter.
    Their means, and the distance of them, are often halfway between two numbers of 4 decimals."""
    start = datetime.combine(FIRST_DAY, datetime.min.time())
    heartbeats: list[Row] = []
    for team in (1, 2):
        for seat in range(int(rng.choice([8, 16, 24]))):
            for beat, steps in enumerate(rng.integers(-1500, 1501, 30).tolist()):
                x, y, z = (Decimal(steps * side) / 100 for side in (3, 4, 0))
                heartbeats.append(
                    {
                        "session_id": hashed_id("halfway", number),
                        "player_id": hashed_id("halfway", number, team, seat),
                        "team_id": team,
                        "event_datetime": start + 7 * beat * BEAT,
                        "position_x": x,
                        "position_y": y,
                        "position_z": z,
                        "event_date": FIRST_DAY,
                    }
                )
    return heartbeats


def four_decimals(exact: Fraction) -> float:
    """Rounded to 4 decimals, half away from zero."""
    ten_thousandths = (abs(exact) * 20_000 + 1) // 2
    return ten_thousandths / 10_000 * (-1 if exact < 0 else 1)


def root_to_four_decimals(squared: Fraction) -> float:
    """The square root, rounded to 4 decimals, half up."""
    rounded_down = math.isqrt(int(squared * 10**8))
    return (rounded_down + ((2 * rounded_down + 1) ** 2 <= 4 * 10**8 * squared)) / 10_000


def brute_force(
    records: list[Row], heartbeats: list[Row], distance: int, gap_seconds: int
) -> tuple[list[Row], list[Row]]:
    """Centroids and encounters by the definition's words, in plain loops and exact numbers."""
    centroids: list[Row] = []
    encounters: list[Row] = []
    of_session: dict[UUID, list[Row]] = defaultdict(list)
    for heartbeat in heartbeats:
        of_session[heartbeat["session_id"]].append(heartbeat)
    starts: dict[UUID, datetime] = {}
    for record in records:
        earliest = starts.get(record["session_id"], record["started_at"])
        starts[record["session_id"]] = min(earliest, record["started_at"])
    for session, own in of_session.items():
        start = starts.get(session) or min(h["event_datetime"] for h in own)
        latest: dict[tuple[int, UUID], Row] = {}
        for heartbeat in sorted(own, key=lambda h: h["event_datetime"]):
            beat = (heartbeat["event_datetime"] - start) // BEAT
            latest[beat, heartbeat["player_id"]] = heartbeat
        members: dict[tuple[int, int], list[Row]] = defaultdict(list)
        for (beat, _), heartbeat in latest.items():
            members[beat, heartbeat["team_id"]].append(heartbeat)
        centroid: dict[tuple[int, int], tuple[Fraction, ...]] = {}
        for (beat, team), present in members.items():
            centroid[beat, team] = tuple(
                sum((Fraction(h[axis]) for h in present), Fraction(0)) / len(present)
                for axis in ("position_x", "position_y", "position_z")
            )
            x, y, z = (four_decimals(value) for value in centroid[beat, team])
            centroids.append(
                {
                    "session_id": session,
                    "team_id": team,
                    "event_datetime": start + beat * BEAT,
                    "centroid_x": x,
                    "centroid_y": y,
                    "centroid_z": z,
                    "players": len(present),
                    "event_date": own[0]["event_date"],
                }
            )
        teams = sorted({team for _, team in centroid})
        for one in teams:
            for two in teams:
                if one >= two:
                    continue
                runs: list[list[tuple[int, Fraction]]] = []
                for beat in sorted({beat for beat, _ in centroid}):
                    if (beat, one) not in centroid or (beat, two) not in centroid:
                        continue
                    squared = Fraction(0)
                    for a, b in zip(centroid[beat, one], centroid[beat, two], strict=True):
                        squared += (a - b) ** 2
                    if squared > distance**2:
                        continue
                    if not runs or (beat - runs[-1][-1][0]) * 30 > gap_seconds:
                        runs.append([])
                    runs[-1].append((beat, squared))
                for run in runs:
                    encounters.append(
                        {
                            "session_id": session,
                            "team_1_id": one,
                            "team_2_id": two,
                            "encounter_start": start + run[0][0] * BEAT,
                            "encounter_end": start + (run[-1][0] + 1) * BEAT,
                            "close_heartbeats": len(run),
                            "min_distance": root_to_four_decimals(min(s for _, s in run)),
                            "event_date": own[0]["event_date"],
                        }
                    )
    return centroids, encounters


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: tuple(str(value) for value in row.values()))


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DbtWarehouse:
    made = DbtWarehouse(tmp_path_factory.mktemp("encounters"))
    made.create_tables(ARENA)
    return made


@pytest.fixture(scope="module")
def random_sessions(warehouse: DbtWarehouse) -> tuple[list[Row], list[Row]]:
    """Records and heartbeats of 130 random sessions, built by dbt as far as encounters."""
    rng = np.random.default_rng(20250101)
    records: list[Row] = []
    heartbeats: list[Row] = []
    for number in range(120):
        more_records, more_heartbeats = random_session(rng, number)
        records += more_records
        heartbeats += more_heartbeats
    for number in range(HALFWAY_SESSIONS):
        heartbeats += halfway_session(rng, number)
    for dataset, rows in (("sessions", records), ("heartbeats", heartbeats)):
        days: dict[date, list[Row]] = defaultdict(list)
        for row in rows:
            days[row["event_date"]].append(row)
        warehouse.load(ARENA, dataset, days)
    window = (FIRST_DAY, FIRST_DAY + timedelta(days=DAYS))
    run = warehouse.dbt(ARENA, "run", "--select", "+stage_encounters", window=window)
    assert run.success, run.messages
    return records, heartbeats


def test_encounters_equal_brute_force(
    warehouse: DbtWarehouse, random_sessions: tuple[list[Row], list[Row]]
) -> None:
    records, heartbeats = random_sessions
    centroids, encounters = brute_force(records, heartbeats, 50, 180)
    assert len(encounters) > 500
    # the cases are there: exactly 50 apart, over midnight, without a record, two in a beat
    assert any(e["min_distance"] == 50 for e in encounters)
    assert any(e["encounter_start"].date() < e["encounter_end"].date() for e in encounters)
    assert {e["session_id"] for e in encounters} - {r["session_id"] for r in records}
    assert sum(c["players"] for c in centroids) < len(heartbeats)

    of_random = f"event_date >= date '{FIRST_DAY}'"
    built = warehouse.rows("arena_stage.stage_centroids", of_random)
    assert in_order(built) == in_order(centroids)
    built = warehouse.rows("arena_stage.stage_encounters", of_random)
    assert in_order(built) == in_order(encounters)


@pytest.mark.parametrize("seconds", [Fraction(1, 30), Fraction(1, 10)])
def test_a_beat_may_be_a_fraction_of_a_second(
    tmp_path_factory: pytest.TempPathFactory, seconds: Fraction
) -> None:
    """Samples at so many hertz, written with whole microseconds: one a beat, each in its own."""
    title = landed_title("arena", distance=50, gap_seconds=1).model_copy(
        update={"heartbeat_seconds": seconds}
    )
    made = DbtWarehouse(tmp_path_factory.mktemp("fraction"))
    made.create_tables(title)
    start = datetime(2025, 1, 1, 12, 0, 0, 123_457)
    session, players = hashed_id("s"), [hashed_id(n) for n in (1, 2)]

    def at(beat: int) -> datetime:
        return start + timedelta(microseconds=int(beat * seconds * 1_000_000))

    # close for 100 beats, apart for two seconds, and close for one more
    close = {*range(100), 100 + int(2 / seconds)}
    beats = range(101 + int(2 / seconds))
    records = [
        {
            "session_id": session, "player_id": player, "team_id": team, "country": "ZZ",
            "started_at": start, "event_datetime": at(beats[-1]), "event_length_seconds": 5,
            "kills": 0, "deaths": 0, "party_id": None, "won": None,
        }
        for team, player in enumerate(players, 1)
    ]  # fmt: skip
    heartbeats = [
        {
            "session_id": session, "player_id": player, "team_id": team,
            "event_datetime": at(beat), "position_x": Decimal(0 if beat in close else 90 * team),
            "position_y": Decimal(0), "position_z": Decimal(0),
        }
        for beat in beats
        for team, player in enumerate(players, 1)
    ]  # fmt: skip
    day = start.date()
    made.load(title, "sessions", {day: records})
    made.load(title, "heartbeats", {day: heartbeats})
    run = made.dbt(
        title,
        *("build", "--select", "+encounter_rates_daily", "--indirect-selection", "cautious"),
        window=(day, day + timedelta(days=1)),
    )
    assert run.success, run.messages
    centroids = made.rows("arena_stage.stage_centroids")
    assert [c["event_datetime"] for c in centroids if c["team_id"] == 1] == [*map(at, beats)]
    encounters = made.rows("arena_stage.stage_encounters")
    length = timedelta(microseconds=int(seconds * 1_000_000))
    assert [
        (e["encounter_start"], e["encounter_end"], e["close_heartbeats"]) for e in encounters
    ] == [
        (start, at(99) + length, 100),
        (at(beats[-1]), at(beats[-1]) + length, 1),
    ]
    total = at(99) - start + 2 * length
    (row,) = made.rows("arena_mart.session_close_encounters_daily")
    assert row["total_encounter_seconds"] == Decimal(total // timedelta(microseconds=1)) / 1_000_000


def test_halves_are_rounded_away_from_zero(
    warehouse: DbtWarehouse, random_sessions: tuple[list[Row], list[Row]]
) -> None:
    """A mean of 8 players may be halfway between two numbers of 4 decimals: engines differ."""
    halfway = {hashed_id("halfway", number) for number in range(HALFWAY_SESSIONS)}
    positions: dict[tuple[UUID, datetime, int], list[Fraction]] = defaultdict(list)
    for row in random_sessions[1]:
        if row["session_id"] in halfway:
            of_team = positions[row["session_id"], row["event_datetime"], row["team_id"]]
            of_team.append(Fraction(row["position_x"]))
    means = {beat: sum(of_team, Fraction(0)) / len(of_team) for beat, of_team in positions.items()}
    halves = {beat: mean for beat, mean in means.items() if (mean * 20_000) % 2 == 1}
    assert {len(positions[beat]) for beat in halves} == {8, 16, 24}
    assert {mean < 0 for mean in halves.values()} == {True, False}
    built = {
        (row["session_id"], row["event_datetime"], row["team_id"]): row["centroid_x"]
        for row in warehouse.rows("arena_stage.stage_centroids")
    }
    assert {beat: built[beat] for beat in halves} == {
        beat: four_decimals(mean) for beat, mean in halves.items()
    }

    apart = {
        # on a line of 3 and 4 the distance is 5 thirds of what it is along x
        (session, time): abs(mean - means[session, time, 2]) * 5 / 3
        for (session, time, team), mean in means.items()
        if team == 1
    }
    built = {
        (row["session_id"], row["encounter_start"]): row["min_distance"]
        for row in warehouse.rows("arena_stage.stage_encounters")
    }
    halves = {k: far for k, far in apart.items() if (far * 20_000) % 2 == 1 and far <= 50}
    assert len(halves) > 20
    assert {beat: built[beat] for beat in halves} == {
        beat: four_decimals(far) for beat, far in halves.items()
    }


def test_dbt_unit_tests_pass(
    warehouse: DbtWarehouse, random_sessions: tuple[list[Row], list[Row]]
) -> None:
    run = warehouse.dbt(ARENA, "test", "--select", "test_type:unit")
    assert run.success, run.messages
    assert len(run.status) >= 7
