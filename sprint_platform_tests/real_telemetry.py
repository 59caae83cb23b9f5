"""Real trajectories with the right answer, read from beside the project where they are.

Thirty online matches, parsed from public replays; see the README there. They are not part of the
project: without them the tests that need them say so and are skipped.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date, datetime
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from sprint_platform.draws import uuids
from sprint_platform.places import project_root
from sprint_platform.simulation.columns import decimal_column, uuid_column
from sprint_platform.telemetry.contracts import DATASETS, UNKNOWN_COUNTRY

FOLDER = project_root().parent / "shared" / "telemetry" / "rocket_league"
needs_real_telemetry = pytest.mark.skipif(
    not FOLDER.exists(), reason=f"there is no real telemetry at {FOLDER}"
)
Row = dict[str, Any]


def hashed_ids(kind: str, told: list[str]) -> np.ndarray:
    """UUIDs for ids that are none, each from its text alone."""
    numbers = np.array([int.from_bytes(one.encode(), "little") % 2**63 for one in told], np.int64)
    return uuids(0, kind, numbers)


@cache
def sessions() -> list[Row]:
    """The players' parts in the sessions, as the file tells them, times parsed."""
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


def session_tables() -> dict[date, pa.Table]:
    """The sessions as the contract's, by partition."""
    days: dict[date, list[Row]] = defaultdict(list)
    for row in sessions():
        days[start_days()[row["session_id"]]].append(row)
    schema = DATASETS["sessions"].arrow_schema
    return {
        day: pa.Table.from_arrays(
            [
                uuid_column(hashed_ids("session", [row["session_id"] for row in rows])),
                uuid_column(hashed_ids("player", [row["player_id"] for row in rows])),
                pa.array([team_numbers()[row["team_id"]] for row in rows], pa.int16()),
                pa.array([UNKNOWN_COUNTRY] * len(rows)),
                pa.array([row["started_at"] for row in rows], pa.timestamp("us")),
                pa.array([row["event_datetime"] for row in rows], pa.timestamp("us")),
                *(
                    pa.array([int(row[name]) for row in rows], pa.int32())
                    for name in ("event_length_seconds", "kills", "deaths")
                ),
            ],
            schema=schema,
        )
        for day, rows in days.items()
    }


def heartbeat_tables() -> dict[date, pa.Table]:
    """The heartbeats as the contract's, by the partition of their session."""
    told = pl.read_parquet(FOLDER / "heartbeats.parquet").with_columns(
        day=pl.col("session_id").replace_strict(start_days(), return_dtype=pl.Date)
    )
    schema = DATASETS["heartbeats"].arrow_schema
    tables = {}
    for (day,), rows in told.partition_by("day", as_dict=True).items():
        hundredths = {
            axis: (rows[axis] * 100).round().cast(pl.Int32).to_numpy().copy()
            for axis in ("position_x", "position_y", "position_z")
        }
        moments = rows["event_datetime"].dt.replace_time_zone(None).dt.cast_time_unit("us")
        tables[day] = pa.Table.from_arrays(
            [
                uuid_column(hashed_ids("session", rows["session_id"].to_list())),
                uuid_column(hashed_ids("player", rows["player_id"].to_list())),
                pa.array([team_numbers()[label] for label in rows["team_id"]], pa.int16()),
                moments.to_arrow().cast(pa.timestamp("us")),
                *(decimal_column(values, 7) for values in hundredths.values()),
            ],
            schema=schema,
        )
    return tables


def expected_encounters(distance: int, gap_seconds: int) -> list[tuple[object, ...]]:
    """The encounters of the independent brute-force program, sorted: session, teams, start, end,
    close heartbeats, least distance."""
    with (FOLDER / f"encounters_d{distance}_g{gap_seconds}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ids = uuid_column(hashed_ids("session", [row["session_id"] for row in rows])).to_pylist()
    return sorted(
        (
            session,
            team_numbers()[row["team_1_id"]],
            team_numbers()[row["team_2_id"]],
            datetime.fromisoformat(row["encounter_start"]),
            datetime.fromisoformat(row["encounter_end"]),
            int(row["close_heartbeats"]),
            float(row["min_distance"]),
        )
        for session, row in zip(ids, rows, strict=True)
    )
