"""Random records of a small game, and every mart of theirs by brute force in plain Python."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from sprint_platform.places import dbt_project_dir
from sprint_platform.title import Title
from sprint_platform_tests.dbt_runs import DbtWarehouse, Row

PLAYERS = [UUID(int=8 << 76 | 2 << 62 | n) for n in range(24)]
SEED = dbt_project_dir() / "seeds" / "dim_products.csv"
PRODUCTS = list(csv.DictReader(SEED.read_text(encoding="utf-8").splitlines()))
COUNTRIES = ["US", "BR", "MX", "FR", "ES", "DE", "ZZ"]
# the numbers of a day's session without heartbeats, and of its session without records
BRIEF, UNRECORDED = 8, 9


@dataclass
class Records:
    """A title's records by dataset and day, as they were loaded."""

    of: dict[str, dict[date, list[Row]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, dataset: str, day: date, row: Row) -> None:
        self.of[dataset][day].append(row)

    def all(self, dataset: str) -> Iterator[tuple[date, Row]]:
        for day, rows in self.of[dataset].items():
            for row in rows:
                yield day, row

    def load(self, warehouse: DbtWarehouse, title: Title, days: list[date]) -> None:
        """Loads what is recorded of these days, also that it is nothing."""
        for dataset in ("sessions", "heartbeats", "transactions"):
            warehouse.load(title, dataset, {day: self.of[dataset][day] for day in days})


def id_of(day: date, number: int) -> UUID:
    return UUID(int=day.toordinal() << 80 | 8 << 76 | 2 << 62 | number)


def add_record(
    records: Records,
    seat: Row,
    start: datetime,
    seconds: int,
    kills: int,
    deaths: int,
    country: str,
) -> None:
    """A player's part in a session; ``seat`` is the session, the player and the team."""
    records.add(
        "sessions",
        start.date(),
        {
            **seat,
            "country": country,
            "started_at": start,
            "event_datetime": start + timedelta(seconds=seconds),
            "event_length_seconds": seconds,
            "kills": kills,
            "deaths": deaths,
            "party_id": None,
            "won": None,
        },
    )


def add_heartbeat(records: Records, rng: np.random.Generator, seat: Row, at: datetime) -> None:
    """A heartbeat somewhere."""
    x, y, z = (Decimal(int(v)) / 100 for v in rng.integers(-6000, 6001, 3))
    records.add(
        "heartbeats",
        at.date(),
        {**seat, "event_datetime": at, "position_x": x, "position_y": y, "position_z": z},
    )


def add_random_day(
    records: Records, rng: np.random.Generator, day: date, players: list[UUID]
) -> None:
    """Two to four sessions of two teams, with heartbeats; some players play twice. One session that
    was over before its first heartbeat, and one whose records are missing. One to three purchases,
    also by players whom no dimension knows."""
    midnight = datetime.combine(day, datetime.min.time())
    for number in range(int(rng.integers(2, 5))):
        seated = rng.permutation(len(players))[: int(rng.integers(2, 7))]
        start = midnight + timedelta(hours=5 + 5 * number)
        for place, index in enumerate(int(i) for i in seated):
            seat = {
                "session_id": id_of(day, number),
                "player_id": players[index],
                "team_id": place % 2 + 1,
            }
            beats = int(rng.integers(4, 12))
            country = COUNTRIES[(index + (rng.random() < 0.1)) % len(COUNTRIES)]
            kills, deaths = int(rng.integers(0, 9)), int(rng.integers(0, 3))
            add_record(records, seat, start, 30 * beats + 7, kills, deaths, country)
            for beat in range(beats):
                add_heartbeat(records, rng, seat, start + timedelta(seconds=30 * beat))
    # by players who have both that day, or test_activity_matches_heartbeats would fail
    for row in records.of["sessions"][day][:2]:
        seat = {"player_id": row["player_id"], "team_id": row["team_id"]}
        brief = {**seat, "session_id": id_of(day, BRIEF)}
        add_record(records, brief, midnight + timedelta(hours=1), 12, 0, 0, "ES")
        unrecorded = {**seat, "session_id": id_of(day, UNRECORDED)}
        add_heartbeat(records, rng, unrecorded, midnight + timedelta(hours=2))
    for number in range(int(rng.integers(1, 4))):
        product = PRODUCTS[int(rng.integers(len(PRODUCTS)))]
        records.add(
            "transactions",
            day,
            {
                "transaction_id": id_of(day, number),
                "player_id": PLAYERS[int(rng.integers(len(PLAYERS)))],
                "event_datetime": midnight,
                "purchase_item": product["product_sku"],
                "purchase_price": Decimal(int(rng.integers(99, 5000))) / 100,
                "currency": "USD",
                "is_recurring": product["is_recurring"] == "true",
                "cycle": product["cycle"] or None,
                "transaction_type": product["transaction_type"],
            },
        )


def known_players() -> list[Row]:
    """The player dimension: all but the last four players."""
    return [
        {
            "player_id": player,
            "display_name": f"player {n}",
            "country": COUNTRIES[n % 6],
            "language": "en",
            "time_zone": "UTC",
            "platform": "pc",
            "birth_year": 1990,
            "signed_up_at": datetime(2024, 1, 1),
        }
        for n, player in enumerate(PLAYERS[:-4])
    ]


# --- the marts by hand ---------------------------------------------------------------------------


def ratio(kills: int, deaths: int) -> float | None:
    return kills / deaths if deaths else None


def expected_marts(records: Records, encounters: list[Row]) -> dict[str, list[Row]]:
    """Every mart, recomputed from the records (and the encounter marts from the encounters)."""
    sessions_of: dict[tuple[UUID, date], list[Row]] = defaultdict(list)
    for day, row in records.all("sessions"):
        sessions_of[row["player_id"], day].append(row)
    activity: list[Row] = []
    for (player, day), rows in sessions_of.items():
        last = max(rows, key=lambda r: (r["started_at"], r["session_id"]))
        kills, deaths = sum(r["kills"] for r in rows), sum(r["deaths"] for r in rows)
        activity.append(
            {
                "player_id": player,
                "calendar_date": day,
                "country": last["country"],
                "total_play_time_seconds": sum(r["event_length_seconds"] for r in rows),
                "sessions_count": len(rows),
                "total_kills": kills,
                "total_deaths": deaths,
                "kill_death_ratio": ratio(kills, deaths),
            }
        )
    playtime: Counter[tuple[str, date]] = Counter()
    days_of: dict[UUID, dict[date, Row]] = defaultdict(dict)
    for row in activity:
        day = row["calendar_date"]
        playtime[row["country"], day.replace(day=1)] += row["total_play_time_seconds"]
        days_of[row["player_id"]][day] = row
    streaks: list[Row] = []
    lifetimes: list[Row] = []
    for player, days in days_of.items():
        for month in sorted({day.replace(day=1) for day in days}):
            played = sorted(day for day in days if day.replace(day=1) == month)
            longest = run = 0
            for n, day in enumerate(played):
                follows = n > 0 and played[n - 1] == day - timedelta(days=1)
                run = run + 1 if follows else 1
                longest = max(longest, run)
            streaks.append(
                {
                    "player_id": player,
                    "year_month": month,
                    "country": days[played[-1]]["country"],
                    "max_consecutive_days_played": longest,
                }
            )
        kills = sum(row["total_kills"] for row in days.values())
        deaths = sum(row["total_deaths"] for row in days.values())
        lifetimes.append(
            {
                "player_id": player,
                "country": days[max(days)]["country"],
                "total_kills": kills,
                "total_deaths": deaths,
                "kill_death_ratio": ratio(kills, deaths),
                "first_played": min(days),
                "last_played": max(days),
            }
        )
    home = {row["player_id"]: row["country"] for row in known_players()}
    revenue: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
    for day, row in records.all("transactions"):
        week = day - timedelta(days=day.weekday())
        revenue[home.get(row["player_id"], "ZZ"), week] += row["purchase_price"]
    pairs: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    meetings: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in encounters:
        key = (row["session_id"], row["team_1_id"], row["team_2_id"], row["event_date"])
        pairs[key].append(row)
        meetings[row["session_id"], row["event_date"]].append(row)
    sessions = {
        (row["session_id"], day)
        for dataset in ("sessions", "heartbeats")
        for day, row in records.all(dataset)
    }
    return {
        "player_activity_daily": activity,
        "country_monthly_playtime": [
            {"country": country, "year_month": month, "total_play_time_seconds": seconds}
            for (country, month), seconds in playtime.items()
        ],
        "country_weekly_revenue": [
            {"country": country, "year_week": week, "total_revenue": amount}
            for (country, week), amount in revenue.items()
        ],
        "player_consecutive_days_monthly": streaks,
        "player_stats_lifetime": lifetimes,
        "encounter_summary_daily": [
            {
                "session_id": session,
                "team_1_id": one,
                "team_2_id": two,
                "calendar_day": day,
                "daily_encounter_count": len(rows),
                "total_encounter_seconds": seconds_of(rows),
            }
            for (session, one, two, day), rows in pairs.items()
        ],
        "session_close_encounters_daily": [
            {
                "session_id": session,
                "calendar_day": day,
                "close_encounter_count": len(meetings[session, day]),
                "total_encounter_seconds": seconds_of(meetings[session, day]),
            }
            for session, day in sessions
        ],
    }


def seconds_of(encounters: list[Row]) -> int:
    return sum(int((e["encounter_end"] - e["encounter_start"]).total_seconds()) for e in encounters)


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: tuple(str(value) for value in row.values()))
