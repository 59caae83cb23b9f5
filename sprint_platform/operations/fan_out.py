"""Simulating many days at once: each dataset's day is a task, in a process or a Spark worker of its
own. Any day alone has the same records, so that it does not matter who makes it."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import date
from multiprocessing import get_context
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from sprint_platform.core.cores import cores
from sprint_platform.core.settings import variable
from sprint_platform.engines.spark_session import spark_session
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.places import catalogue_path, data_dir
from sprint_platform.storage.partitions import read_manifest, write_partition
from sprint_platform.telemetry.contracts import DAILY
from sprint_platform.title import Title

if TYPE_CHECKING:
    from sprint_platform.simulation.world import World

Where = Literal["processes", "spark"]
# (dataset, day)
Task = tuple[str, date]


@dataclass(frozen=True)
class Simulated:
    """A partition: its rows and digest, and the seconds in which it was made; None where it was
    there from the same source."""

    dataset: str
    day: date
    rows: int
    digest: str
    seconds: float | None


def tasks_of(title: Title, days: Sequence[date]) -> list[Task]:
    """Every dataset of the days (ascending), and the players of the days before them: what the days
    are loaded with."""
    earlier = (days[0] - title.launch_date).days
    players = [date.fromordinal(title.launch_date.toordinal() + n) for n in range(earlier)]
    return [
        *(("dim_players", day) for day in players),
        *((dataset, day) for day in days for dataset in DAILY),
    ]


def fan_out(
    title: Title, tasks: Collection[Task], where: Where, reuse: Collection[Task] = ()
) -> Iterator[Simulated]:
    """Writes the partition of each task, and yields what was written as it comes; those of
    ``reuse`` stay where they are from the same source. Raises what a task raised, and
    SparkError."""
    if where == "spark":
        yield from _on_spark(title, tasks, set(reuse))
        return
    # not forked: DuckDB, Arrow and a JVM have threads
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as pool:
        there = set(reuse)
        futures = [pool.submit(simulate, title, *task, task in there) for task in tasks]
        for future in as_completed(futures):
            yield future.result()


def simulate(title: Title, dataset: str, day: date, reuse: bool) -> Simulated:
    """Writes one partition."""
    world = _world(title)
    source = world.source(dataset)
    existing = read_manifest(title.name, dataset, day) if reuse else None
    if existing is not None and existing.source == source:
        return Simulated(dataset, day, existing.rows, existing.digest, None)
    began = time.perf_counter()
    # the world's methods have the datasets' names
    made = write_partition(title.name, dataset, day, getattr(world, dataset)(day), source)
    return Simulated(dataset, day, made.rows, made.digest, time.perf_counter() - began)


# A worker's last world, by the title's name and fingerprint, and what the catalogue's file held.
_last: dict[tuple[str, str, bytes], World] = {}


def _world(title: Title) -> World:
    # numpy and the name lists: only when something is simulated
    from sprint_platform.simulation.world import World

    key = title.name, title.fingerprint, catalogue_path().read_bytes()
    if key not in _last:
        _last.clear()
        _last[key] = World(title, read_catalogue())
    return _last[key]


def _on_spark(title: Title, tasks: Collection[Task], reuse: set[Task]) -> Iterator[Simulated]:
    folder, name = str(data_dir()), variable("data_dir")
    columns = [
        ("dataset", pa.string()),
        ("day", pa.date32()),
        ("rows", pa.int64()),
        ("digest", pa.string()),
        ("seconds", pa.float64()),
    ]

    def made(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        os.environ[name] = folder
        for batch in batches:
            done = [
                asdict(simulate(title, row["dataset"], row["day"], row["reuse"]))
                for row in batch.to_pylist()
            ]
            yield pa.RecordBatch.from_pylist(done, schema=pa.schema(columns))

    rows = [(dataset, day, (dataset, day) in reuse) for dataset, day in tasks]
    asked = spark_session().createDataFrame(rows, "dataset string, day date, reuse boolean")
    # without it all tasks would be one of Spark's
    spread = asked.repartition(len(rows))
    result = "dataset string, day date, rows long, digest string, seconds double"
    for row in spread.mapInArrow(made, result).collect():
        yield Simulated(*row)
