"""A small title with every fault, and its days delivered."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sprint_platform.landing.deliveries import Delivery, ledger_path
from sprint_platform.operations.deliver import PLAYERS_A_TABLE, deliver_from
from sprint_platform.places import data_dir
from sprint_platform.simulation.world import World
from sprint_platform.title import Title
from sprint_platform_tests.worlds import LAUNCH, compound, title_like

# every fault of a record, often enough that a few hundred players meet each
RATES: dict[str, Any] = {
    "late": 0.05,
    "late_days": 2,
    "duplicate": 0.04,
    "dropped": 0.04,
    "out_of_order": 0.04,
    "malformed": 0.04,
    "null_session_end": 0.05,
    "overlapping_session": 0.05,
    "negative_amount": 0.05,
    "clock_skew": 0.02,
}
DRIFT: dict[str, Any] = {
    "new_column_from": LAUNCH + timedelta(days=2),
    "renamed_column_from": LAUNCH + timedelta(days=4),
}
Row = dict[str, str | None]


def muddy(players: int = 200, landing: Any = None, **faults: Any) -> Title:
    """``sprint`` with that many players and these faults (every fault of a record where none is
    given)."""
    chosen = {**RATES, **faults} if set(faults) <= {"format", *DRIFT} else faults
    title = title_like(
        "sprint",
        simulation__growth=compound(players, growth=0.02),
        # everybody buys something
        simulation__spending__clusters={
            "none": {"share": 0.1},
            "minnow": {"share": 0.8, "chance": 1.0, "purchases": [1, 2], "price": [1, 10]},
            "whale": {"share": 0.1, "chance": 1.0, "purchases": [2, 5], "price": [10, 50]},
        },
        landing=landing,
        faults=chosen,
    )
    return title.model_copy(update={"name": "muddy"})


def world_of(title: Title) -> World:
    """The world that deliveries are made from, with the default catalogue."""
    return World(title, chunk_players=PLAYERS_A_TABLE)


def deliver_days(title: Title, days: Iterable[date]) -> dict[date, Delivery]:
    """Delivers the days in that order."""
    world = world_of(title)
    return {day: deliver_from(world, day) for day in days}


def file_rows(name: str) -> list[Row]:
    """The records of a text file that was delivered, as text; what is missing is None."""
    path = data_dir() / "landing" / "muddy" / name
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            return [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
        return [
            {name: _text(value) for name, value in json.loads(line, parse_float=str).items()}
            for line in file
        ]


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def ledger_rows(days: Iterable[date], **wanted: Any) -> list[dict[str, Any]]:
    """The ledger of these days: those rows that say what is wanted."""
    rows = [row for day in days for row in pq.read_table(ledger_path("muddy", day)).to_pylist()]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def clean_rows(title: Title, dataset: str, day: date) -> list[Row]:
    """What the simulation makes, as text, made independently of the delivery's own writer."""
    return [
        {name: _plain(value) for name, value in row.items()}
        for table in getattr(world_of(title), dataset)(day)
        for row in table.to_pylist()
    ]


def _plain(value: Any) -> str | None:
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return _text(value)


def delivered_paths() -> list[Path]:
    """Every file of the landing folder, hidden ones too."""
    folder = data_dir() / "landing" / "muddy"
    return sorted(path for path in folder.rglob("*") if path.is_file())
