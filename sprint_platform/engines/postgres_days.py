"""Loading days into PostgreSQL side by side: a day of all tables in one transaction.

A load that is done again, or that goes on after a failure, adds what is missing and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from itertools import repeat
from queue import SimpleQueue

from sprint_platform.dataset import Dataset
from sprint_platform.engines.load import Mode, TableLoad, load_periods
from sprint_platform.engines.postgres_engine import PostgresEngine, Stopped, parted
from sprint_platform.storage.partitions import Manifest

# a day's partitions of all tables
Day = Sequence[tuple[Dataset, Manifest]]
Before = Callable[[PostgresEngine], None]


def make_partitions(engines: Sequence[PostgresEngine], days: Sequence[date]) -> None:
    """Makes the days' partitions of all tables where they are missing, shared out over the
    engines."""
    tables = [table for table in engines[0].tables if parted(table)]
    shares = [tables[nth :: len(engines)] for nth in range(len(engines))]
    # a partition is four new files: their server's processes do that side by side
    with ThreadPoolExecutor(len(engines)) as pool:
        for _ in pool.map(PostgresEngine.ensure_partitions, engines, shares, repeat(days)):
            pass


def load_days(
    engines: Sequence[PostgresEngine], days: Mapping[date, Day], before: Before | None = None
) -> Generator[tuple[date, list[TableLoad[date]]], None, None]:
    """The days' loads, as they are committed; ``before`` runs in the transaction of the first. An
    exception, here or in the caller, ends and undoes those that are under way."""
    rest = list(days)
    free: SimpleQueue[PostgresEngine] = SimpleQueue()
    for engine in engines:
        free.put(engine)
    pool = ThreadPoolExecutor(len(engines))
    try:
        if before and rest:
            # alone: emptying the tables would wait for all others
            first = rest.pop(0)
            yield first, pool.submit(_load_day, free, first, days[first], before).result()
        loads = {pool.submit(_load_day, free, day, days[day]): day for day in rest}
        for future in as_completed(loads):
            # the one that failed raises why
            if not isinstance(future.exception(), Stopped):
                yield loads[future], future.result()
    except BaseException:
        engines[0].stopping.set()
        for engine in engines:
            engine.cancel()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _load_day(
    free: SimpleQueue[PostgresEngine], day: date, partitions: Day, before: Before | None = None
) -> list[TableLoad[date]]:
    engine = free.get()
    try:
        if engine.stopping.is_set():
            raise Stopped
        with engine.place.in_one_line(f"{day} was not loaded"), engine.transaction():
            if before:
                before(engine)
            return [load_periods(engine, t, {day: m}, Mode.APPEND) for t, m in partitions]
    except BaseException:
        # here, not where it is waited for: this thread would begin another day meanwhile
        engine.stopping.set()
        raise
    finally:
        free.put(engine)
