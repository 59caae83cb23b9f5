"""One day of a million players through the whole graph, beside the plain statements that it cannot
do without, which are its floor."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from sprint_platform.simulation.estimates import estimate, run_seconds
from sprint_platform.simulation.world import World
from sprint_platform.storage.partitions import read_manifest
from sprint_platform.telemetry.contracts import DAILY
from sprint_platform.title import Title
from sprint_platform_tests.bench.graph_runs import (
    GRAPH,
    Process,
    fresh_folders,
    materialize,
    run,
    seconds_by_stage,
)

TITLE = "launch"
# The title opens with a full day: a million players, and no older ones to be made first.
DAY = date(2025, 1, 1)
FLOOR_MEMORY = "3GB"

# What a table of heartbeats, of teams' positions and of encounters takes when nothing is tested,
# rounded, deduplicated or replaced: 50 units, runs with gaps up to 180 s, beats of 30 s.
PLAIN_STATEMENTS = {
    "insert": "create table beats as select * from '{file}'; checkpoint",
    "centroids": """
        create table centroids as
        select
            session_id, team_id, event_datetime, count(*) as players,
            avg(position_x::double) as x, avg(position_y::double) as y, avg(position_z::double) as z
        from beats
        group by session_id, team_id, event_datetime
    """,
    "encounters": """
        create table encounters as
        with close_beats as (
            select
                one.session_id, one.team_id as team_1, two.team_id as team_2,
                epoch(one.event_datetime)::bigint as second
            from centroids as one
            join centroids as two
                on one.session_id = two.session_id
                and one.event_datetime = two.event_datetime
                and one.team_id < two.team_id
            where (one.x - two.x) ** 2 + (one.y - two.y) ** 2 + (one.z - two.z) ** 2 <= 2500
        ),
        marked as (
            select *, case when second - lag(second) over pair <= 180 then 0 else 1 end as starts
            from close_beats
            window pair as (partition by session_id, team_1, team_2 order by second)
        ),
        numbered as (
            select *, sum(starts) over pair as number
            from marked
            window pair as (partition by session_id, team_1, team_2 order by second)
        )
        select
            session_id, team_1, team_2, count(*) as beats,
            min(second) as first, max(second) + 30 as last
        from numbered
        group by session_id, team_1, team_2, number
    """,
}


@dataclass(frozen=True)
class Floor:
    """Seconds of wall clock of each plain statement, and what they made."""

    seconds: dict[str, float]
    heartbeats: int
    encounters: int

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Day:
    """The whole graph for the day: its process, seconds by step, and the records that it made."""

    process: Process
    steps: dict[str, float]
    rows: int
    file_bytes: int


@dataclass(frozen=True)
class Plan:
    """What `sprint plan` says of the day: rows and bytes of its files, seconds of the run."""

    rows: int
    file_bytes: int
    seconds: float


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began


def floor(title: Title, day: date) -> Floor:
    """Makes, writes and loads the day's heartbeats, and finds its encounters, as plainly as it
    goes."""
    seconds: dict[str, float] = {}
    world = World(title)
    with _timed(seconds, "simulate"):
        heartbeats = sum(table.num_rows for table in world.heartbeats(day))
    with tempfile.TemporaryDirectory(prefix="sprint-floor-") as folder:
        file = Path(folder) / "beats.parquet"
        writer = None
        for table in world.heartbeats(day):
            with _timed(seconds, "parquet"):
                writer = writer or pq.ParquetWriter(
                    file, table.schema, compression="zstd", use_dictionary=False
                )
                writer.write_table(table)
        if writer:
            writer.close()
        with duckdb.connect(str(Path(folder) / "floor.duckdb")) as con:
            con.execute(f"set memory_limit = '{FLOOR_MEMORY}'")
            con.execute("set preserve_insertion_order = false")
            for name, sql in PLAIN_STATEMENTS.items():
                with _timed(seconds, name):
                    con.execute(sql.format(file=file))
            (encounters,) = con.execute("select count(*) from encounters").fetchone() or (0,)
    return Floor(seconds, heartbeats, encounters)


def whole_graph(
    title: str, day: date, memory: str | None = None, *, watch_memory: bool = False
) -> Day:
    """The day through every asset and test, in an empty data folder, with default settings but for
    DuckDB's ``memory``. To watch the memory of a large process takes a fifth of a run's time."""
    with fresh_folders() as environment:
        if memory:
            environment["SPRINT_DUCKDB_MEMORY"] = memory
        process = run(materialize(GRAPH, title, day), environment, watch_memory=watch_memory)
        made = [m for d in DAILY if (m := read_manifest(title, d, day))]
        return Day(
            process, seconds_by_stage(), sum(m.rows for m in made), sum(m.bytes for m in made)
        )


def measured(runs: int = 3) -> tuple[Floor, Day, float]:
    """The floor and the whole graph, one after the other, ``runs`` times: the pair whose ratio is
    the median, and that ratio."""
    title = Title.load(TITLE)
    pairs = [(floor(title, DAY), whole_graph(TITLE, DAY)) for _ in range(runs)]
    pairs.sort(key=lambda pair: pair[1].process.wall / pair[0].total)
    plain, day = pairs[runs // 2]
    return plain, day, day.process.wall / plain.total


def planned() -> Plan:
    """What is said of the day before it runs."""
    estimates = estimate(Title.load(TITLE), [DAY])
    return Plan(
        sum(e.rows for e in estimates),
        sum(e.file_bytes for e in estimates),
        run_seconds(estimates, 1),
    )


def side_by_side(runs: int = 3) -> float:
    """Seconds of two days that two processes simulate at the same time, over those of the same days
    one after the other: the median of the ratios. Nothing is written."""
    days = (DAY, DAY + timedelta(days=1))
    ratios = []
    for _ in range(runs):
        began = time.perf_counter()
        for process in [_simulating(day) for day in days]:
            process.wait()
        at_once, began = time.perf_counter() - began, time.perf_counter()
        for day in days:
            _simulating(day).wait()
        ratios.append(at_once / (time.perf_counter() - began))
    return statistics.median(ratios)


def _simulating(day: date) -> subprocess.Popen[bytes]:
    code = (
        "from datetime import date; from sprint_platform.simulation.world import World;"
        " from sprint_platform.title import Title;"
        f" beats = World(Title.load({TITLE!r})).heartbeats(date.fromisoformat('{day}'));"
        " print(sum(table.num_rows for table in beats))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
