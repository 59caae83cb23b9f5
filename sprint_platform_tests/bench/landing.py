"""Landing: heartbeats per second of wall clock from files to partitions, and into the warehouse."""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import load_partitions
from sprint_platform.landing.files import landing_dir
from sprint_platform.landing.land import land
from sprint_platform.places import data_dir
from sprint_platform.simulation.world import World
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import partition_days, read_manifest
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title, read_title
from sprint_platform_tests.bench import graph_runs
from sprint_platform_tests.small_titles import small_title

LANDED = """\
name: landed
description: A studio's files
launch_date: 2025-01-01
seed: 7
source: landing
encounters: {distance: 50, gap_seconds: 180}
"""
DAY = date(2025, 1, 1)
PLAYERS = 200_000
# a file of so much is landed, too, of days of some 14 million heartbeats
LARGE_GIGABYTES = 10.0
LARGE_PLAYERS = 600_000


@dataclass(frozen=True)
class Rate:
    """Rows of heartbeats that were landed, and the seconds of wall clock that took."""

    rows: int
    seconds: float
    load_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return self.rows / self.seconds


@dataclass(frozen=True)
class LargeFile:
    """One file that one process landed and another loaded: bytes, heartbeats, those of a day."""

    landing: graph_runs.Process
    load: graph_runs.Process
    size: int
    rows: int
    rows_a_day: int


def titles(folder: Path, players: int) -> tuple[Title, Title]:
    """The simulated title that the files come from, of so many players, and the one that lands
    them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.yaml").write_text(small_title("bench", players, seed=7))
    (folder / "landed.yaml").write_text(LANDED)
    os.environ["SPRINT_TITLES_DIR"] = str(folder)
    return read_title(folder / "bench.yaml"), read_title(folder / "landed.yaml")


def by_the_hour(format: str) -> Rate:
    """One day's heartbeats as a studio delivers them: a file an hour, ids as UUIDs, in the order of
    time. ``format`` is parquet or csv."""
    with graph_runs.fresh_folders():
        game, title = titles(data_dir() / "titles", PLAYERS)
        world = World(game)
        root = landing_dir(title.name)
        write(root / "sessions" / f"{DAY}.parquet", pa.concat_tables(world.sessions(DAY)))
        beats = pa.concat_tables(world.heartbeats(DAY))
        hours = np.asarray(beats["event_datetime"].cast(pa.int64())) // 3_600_000_000
        for hour in np.unique(hours).tolist():
            rows = beats.filter(pa.array(hours == hour)).combine_chunks()
            order = pc.sort_indices(rows["event_datetime"])
            write(root / "heartbeats" / f"{hour}.{format}", rows.take(order))
        return measure(title)


def measure(title: Title) -> Rate:
    """Lands what is there, and loads it."""
    rows, seconds = landed(title)
    return Rate(rows, seconds, loaded(title))


def landed(title: Title) -> tuple[int, float]:
    """Lands what is there: heartbeats, and seconds."""
    began = time.perf_counter()
    report = land(title)
    seconds = time.perf_counter() - began
    changes = [change for change in report.changes if change.dataset == "heartbeats"]
    rows = sum(change.rows_after for change in changes)
    read = sum(file.rows_read for file in report.files if file.dataset == "heartbeats")
    if rows != read:
        raise RuntimeError(f"{read} heartbeats were read, but {rows} landed")
    return rows, seconds


def loaded(title: Title) -> float:
    """Loads the landed heartbeats: seconds."""
    days = partition_days(title.name, "heartbeats")
    manifests = {day: read_manifest(title.name, "heartbeats", day) for day in days}
    began = time.perf_counter()
    with connect() as con:
        load_partitions(
            con,
            title_ledger(title.name),
            DATASETS["heartbeats"],
            {d: m for d, m in manifests.items() if m},
        )
    return time.perf_counter() - began


def write(path: Path, table: pa.Table) -> None:
    """A file of the landing folder; CSV has its ids as UUID text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(table, path, compression="snappy")
        return
    with path.open("ab") as file:
        header = file.tell() == 0
        options = pa.csv.WriteOptions(include_header=header, quoting_style="none")
        pa.csv.write_csv(as_text(table), file, options)


def as_text(table: pa.Table) -> pa.Table:
    """The table with its ids as UUID text."""
    columns = []
    for column in table.columns:
        if isinstance(column.type, pa.BaseExtensionType):
            encoded = column.combine_chunks().storage.dictionary_encode()
            words = pa.ExtensionArray.from_storage(pa.uuid(), encoded.dictionary).to_pylist()
            texts = pa.DictionaryArray.from_arrays(encoded.indices, [str(word) for word in words])
            column = texts.cast(pa.string())
        elif pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        columns.append(column)
    return pa.table(columns, names=table.column_names)


def one_large_file(least_bytes: int) -> LargeFile:
    """One CSV file of so many bytes, landed and loaded by processes of their own.

    It is a simulated day over and over, a day later each time and with sessions of its own; DuckDB
    writes that in a minute."""
    with graph_runs.fresh_folders() as environment:
        game, title = titles(data_dir() / "titles", LARGE_PLAYERS)
        environment["SPRINT_TITLES_DIR"] = os.environ["SPRINT_TITLES_DIR"]
        root, day = landing_dir(title.name), data_dir() / "day"
        world = World(game)
        write(day / "sessions.parquet", pa.concat_tables(world.sessions(DAY)))
        write(day / "heartbeats.parquet", pa.concat_tables(world.heartbeats(DAY)))
        path = root / "heartbeats" / "all.csv"
        _write_days(day / "heartbeats.parquet", path, 1)
        times = math.ceil(least_bytes / path.stat().st_size)
        rows_a_day = pq.read_metadata(day / "heartbeats.parquet").num_rows
        _write_days(day / "heartbeats.parquet", path, times)
        _write_days(day / "sessions.parquet", root / "sessions" / "all.csv", times)
        size = path.stat().st_size
        command = [Path(sys.executable).name, "-m", "sprint_platform_tests.bench.landing"]
        landing, load = (
            graph_runs.run([*command, step], environment, watch_memory=True) for step in STEPS
        )
        return LargeFile(landing, load, size, times * rows_a_day, rows_a_day)


def _write_days(day: Path, path: Path, times: int) -> None:
    """The day's records as CSV, one day after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    moved = {"event_datetime", "started_at"} & set(pq.read_schema(day).names)
    days = [
        "select * replace ("
        + f"md5(session_id || '{later}')::uuid as session_id"
        + "".join(f", {name} + interval {later} day as {name}" for name in sorted(moved))
        + f") from read_parquet('{day}')"
        for later in range(times)
    ]
    with duckdb.connect() as con:
        con.execute("set memory_limit = '2GB'")
        con.execute(f"copy ({' union all '.join(days)}) to '{path}' (format csv, header)")


STEPS = {"land": landed, "load": loaded}

if __name__ == "__main__":
    print(STEPS[sys.argv[1]](Title.load("landed")))
