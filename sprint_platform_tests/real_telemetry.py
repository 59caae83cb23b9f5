"""Real trajectories with the right answer, read from beside the project where they are.

Thirty online matches, parsed from public replays; see the README there. They are not part of the
project: without them the tests that need them say so and are skipped.
"""

from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from sprint_platform.landing.files import landing_dir
from sprint_platform.landing.ids import hashed_id
from sprint_platform.places import project_root

FOLDER = project_root().parent / "shared" / "telemetry" / "rocket_league"
needs_real_telemetry = pytest.mark.skipif(
    not FOLDER.exists(), reason=f"there is no real telemetry at {FOLDER}"
)
Row = dict[str, Any]

# Session and player ids are texts, teams have labels, and nobody knows the players' countries.
ARENA = """\
name: arena
description: Rocket League matches, a heartbeat for each second of play
launch_date: 2016-05-01
seed: 0
source: landing
grid: {x: [0, 200], y: [0, 200], z: [0, 200]}
encounters: {distance: 50, gap_seconds: 180}
landing:
  datasets: [sessions, heartbeats]
  mapping: {teams: labels}
  reject_limit: 0
"""


@cache
def sessions() -> list[Row]:
    """The players' parts in the sessions, as the file has them, times parsed."""
    with (FOLDER / "sessions.csv").open(encoding="utf-8") as file:
        return [
            row
            | {
                "started_at": datetime.fromisoformat(row["started_at"]),
                "event_datetime": datetime.fromisoformat(row["event_datetime"]),
            }
            for row in csv.DictReader(file)
        ]


@cache
def team_numbers() -> dict[str, int]:
    """Numbers of the team labels, from 1 within each session, in the labels' order."""
    labels: dict[str, set[str]] = defaultdict(set)
    for row in sessions():
        labels[row["session_id"]].add(row["team_id"])
    return {
        label: number for of in labels.values() for number, label in enumerate(sorted(of), start=1)
    }


@cache
def start_days() -> dict[str, date]:
    """The UTC day on which each session started: its partition."""
    starts: dict[str, datetime] = {}
    for row in sessions():
        session = row["session_id"]
        starts[session] = min(starts.get(session, row["started_at"]), row["started_at"])
    return {session: start.date() for session, start in starts.items()}


def deliver_as_it_is() -> None:
    """The files as they lie there: sessions in CSV, heartbeats in Parquet."""
    for dataset, name in (("sessions", "sessions.csv"), ("heartbeats", "heartbeats.parquet")):
        folder = landing_dir("arena") / dataset
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(FOLDER / name, folder / name)


def tables() -> dict[str, pl.DataFrame]:
    """Both files as they are, with the files' own ids and labels."""
    times = ["started_at", "event_datetime"]
    return {
        "sessions": pl.read_csv(FOLDER / "sessions.csv").with_columns(
            pl.col(times).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
        ),
        "heartbeats": pl.read_parquet(FOLDER / "heartbeats.parquet"),
    }


def write_copy(dataset: str, name: str, rows: pl.DataFrame, format: str) -> None:
    """A copy of some rows as a file of the landing folder."""
    path = landing_dir("arena") / dataset / f"{name}.{format}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if format == "parquet":
        rows.write_parquet(path)
    elif format == "csv":
        rows.write_csv(path)
    else:
        as_text = pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S")
        rows.with_columns(as_text).write_ndjson(path)


def by_the_hour() -> list[tuple[str, str, pl.DataFrame]]:
    """(dataset, hour, rows): both datasets split by the hour in which a row happened."""
    pieces = []
    for dataset, column in (("sessions", "started_at"), ("heartbeats", "event_datetime")):
        rows = tables()[dataset].with_columns(hour=pl.col(column).dt.strftime("%Y-%m-%dT%H"))
        for (hour,), of_hour in rows.partition_by("hour", as_dict=True).items():
            pieces.append((dataset, str(hour), of_hour.drop("hour")))
    return pieces


def session_id(source_id: str) -> UUID:
    """What a session of the files is called once it has landed."""
    return UUID(bytes=hashed_id("session", source_id))


def expected_encounters(distance: int, gap_seconds: int) -> list[tuple[object, ...]]:
    """The encounters of the independent brute-force program, sorted: session, teams, start, end,
    close heartbeats, least distance."""
    with (FOLDER / f"encounters_d{distance}_g{gap_seconds}.csv").open(encoding="utf-8") as file:
        return sorted(
            (
                session_id(row["session_id"]),
                team_numbers()[row["team_1_id"]],
                team_numbers()[row["team_2_id"]],
                datetime.fromisoformat(row["encounter_start"]),
                datetime.fromisoformat(row["encounter_end"]),
                int(row["close_heartbeats"]),
                float(row["min_distance"]),
            )
            for row in csv.DictReader(file)
        )


def folders(root: Path) -> dict[str, str]:
    """The environment of a data folder and a titles folder below ``root``, with the title in it."""
    (root / "titles").mkdir(parents=True)
    (root / "titles" / "arena.yaml").write_text(ARENA)
    return {"SPRINT_DATA_DIR": str(root / "data"), "SPRINT_TITLES_DIR": str(root / "titles")}
