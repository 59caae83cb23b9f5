"""Rates of the simulation and the load, in rows per CPU-second, one process each.

CPU-seconds of the whole process (all threads) on one core, the median of several runs after a
warm-up. Where a machine's cores are two threads of one, each takes more of them while the other
works: by that a rate on all cores would fall as two threads share the work.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import load_partitions
from sprint_platform.profiles import People
from sprint_platform.simulation.population import Population
from sprint_platform.simulation.world import World
from sprint_platform.storage.digest import digest_table
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import write_partition
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import CompoundGrowth, Retention, TargetGrowth, Title

# What the generator that the project comes from makes here: row by row, one insert per session.
SEED_HEARTBEATS_PER_SECOND = 8_400
RUNS = 5


@dataclass(frozen=True)
class Rate:
    """One measured rate. ``target`` is what the project promises."""

    name: str
    rows: int
    cpu_seconds: float
    target: float
    heartbeats: bool = False

    @property
    def per_second(self) -> float:
        return self.rows / self.cpu_seconds

    @property
    def over_seed(self) -> float | None:
        """How many times the seed's generator, where the rows are heartbeats."""
        return self.per_second / SEED_HEARTBEATS_PER_SECOND if self.heartbeats else None


def with_growth(name: str, **growth: object) -> Title:
    """The title with another growth: a larger world of the same kind."""
    title = Title.load(name)
    assert title.simulation is not None
    kind = CompoundGrowth if growth["kind"] == "compound" else TargetGrowth
    update: dict[str, object] = {"growth": kind.model_validate(growth)}
    target = kind is TargetGrowth
    update["retention"] = Retention(d1=0.35, d7=0.15, d30=0.05) if target else None
    simulation = title.simulation.model_copy(update=update)
    return title.model_copy(update={"simulation": simulation})


def _median_cpu(work: Callable[[], int]) -> tuple[int, float]:
    rows = work()
    seconds = []
    for _ in range(RUNS):
        began = time.process_time()
        rows = work()
        seconds.append(time.process_time() - began)
    return rows, statistics.median(seconds)


@contextmanager
def one_core() -> Iterator[None]:
    """This process, and the threads that it starts, on one core; as before where the system cannot
    do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _count(tables: Iterable[pa.Table]) -> int:
    return sum(table.num_rows for table in tables)


def measure() -> list[Rate]:
    """Every rate. Uses a temporary data folder (SPRINT_DATA_DIR must point to one)."""
    day = date(2025, 1, 2)
    title = with_growth(
        "sprint",
        kind="compound",
        starting_players=200_000,
        daily_growth=0.001,
        daily_decay=0.0007,
    )
    world = World(title)
    rates = [
        Rate("heartbeats to Arrow", *_median_cpu(lambda: _count(world.heartbeats(day))), 8e6, True)
    ]

    def to_parquet() -> int:
        return write_partition("bench", "heartbeats", day, world.heartbeats(day), "bench").rows

    rates.append(Rate("heartbeats to zstd Parquet", *_median_cpu(to_parquet), 5e6, True))
    # as many days of the same records as there are runs: what is loaded already costs nothing
    days = [day + timedelta(days=n) for n in range(RUNS + 1)]
    waiting = [
        (d, write_partition("bench", "heartbeats", d, world.heartbeats(day), "bench")) for d in days
    ]

    def load() -> int:
        with connect() as con:
            return load_partitions(
                con, title_ledger("bench"), DATASETS["heartbeats"], dict([waiting.pop()])
            ).added

    rates.append(Rate("Parquet into DuckDB", *_median_cpu(load), 2.5e6, True))

    tables = list(world.heartbeats(day))
    rates.append(
        Rate(
            "logical digest",
            *_median_cpu(lambda: sum(digest_table(table).rows for table in tables)),
            0,
        )
    )
    first = title.launch_date
    rates.append(Rate("profiles", *_median_cpu(lambda: _count(world.dim_players(first))), 1e6))
    players = Population(title).signups(first).number
    assert title.simulation is not None
    people = People(title.seed, title.simulation, first.year)
    country = people.country(players)
    rates.append(
        Rate("display names", *_median_cpu(lambda: len(people.display_name(players, country))), 5e6)
    )
    return rates


def active_set_seconds() -> tuple[int, int, float]:
    """(players signed up, active, CPU-seconds) of one day's active set at the end of two years that
    brought 20 M players."""
    title = with_growth("sprint", kind="target", players=20_000_000, days=730)
    population = Population(title)
    day = title.launch_date + timedelta(days=729)
    active, seconds = _median_cpu(lambda: len(population.active(day)))
    return population.signed_up_by(729), active, seconds
