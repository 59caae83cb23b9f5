"""Simulating many days at once: each dataset's day is a task, in a process of this machine or in a
worker of Spark's. Any day alone has the same records, so that it does not matter who makes it."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import date
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pyarrow as pa

from sprint_platform.core.cores import cores
from sprint_platform.core.settings import variable
from sprint_platform.engines.spark_session import spark_session
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.places import data_dir
from sprint_platform.storage.partitions import read_manifest, write_partition
from sprint_platform.telemetry.contracts import DAILY
from sprint_platform.title import Title

if TYPE_CHECKING:
    from sprint_platform.simulation.world import World

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


def simulate_in_processes(
    title: Title, tasks: Collection[Task], reuse: Collection[Task] = ()
) -> Iterator[Simulated]:
    """Writes the partition of each task, and yields what was written as it comes; those of
    ``reuse`` stay where they are from the same source. Raises what a task raised."""
    products, there = read_catalogue(), set(reuse)
    # not forked: DuckDB, Arrow and a JVM have threads
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(simulate, title, products, *task, task in there) for task in tasks]
        for future in as_completed(futures):
            yield future.result()


def simulate(title: Title, products: pa.Table, dataset: str, day: date, reuse: bool) -> Simulated:
    """Writes one partition. ``products`` is the catalogue of whoever asked: a worker on another
    machine has none of its own."""
    world = _world(title, products)
    source = world.source(dataset)
    existing = read_manifest(title.name, dataset, day) if reuse else None
    if existing is not None and existing.source == source:
        return Simulated(dataset, day, existing.rows, existing.digest, None)
    began = time.perf_counter()
    # the world's methods have the datasets' names
    made = write_partition(title.name, dataset, day, getattr(world, dataset)(day), source)
    return Simulated(dataset, day, made.rows, made.digest, time.perf_counter() - began)


# A worker's last world, and the catalogue that it was made with.
_last: list[tuple[World, pa.Table]] = []


def _world(title: Title, products: pa.Table) -> World:
    # numpy and the name lists: only when something is simulated
    from sprint_platform.simulation.world import World

    if not _last or _last[0][0].title != title or not _last[0][1].equals(products):
        _last[:] = [(World(title, products), products)]
    return _last[0][0]


def simulate_on_spark(
    title: Title, tasks: Collection[Task], reuse: Collection[Task] = ()
) -> Iterator[Simulated]:
    """``simulate_in_processes``, in Spark's workers, which write into a data folder of the same
    path. Raises SparkError, too."""
    products, there = read_catalogue(), set(reuse)
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
                asdict(simulate(title, products, row["dataset"], row["day"], row["reuse"]))
                for row in batch.to_pylist()
            ]
            yield pa.RecordBatch.from_pylist(done, schema=pa.schema(columns))

    rows = [(dataset, day, (dataset, day) in there) for dataset, day in tasks]
    asked = spark_session().createDataFrame(rows, "dataset string, day date, reuse boolean")
    # without it all tasks would be one of Spark's
    spread = asked.repartition(len(rows))
    result = "dataset string, day date, rows long, digest string, seconds double"
    for row in spread.mapInArrow(made, result).collect():
        yield Simulated(*row)
