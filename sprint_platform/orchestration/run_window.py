"""The days of a run of Dagster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

import dagster as dg

from sprint_platform.core.window import Window
from sprint_platform.orchestration.failures import ClearFailure
from sprint_platform.storage.partitions import P

SECONDS_BETWEEN_PROGRESS = 10.0
# Called with every chunk of rows that is made, and every result of dbt's: (asset, day, number).
Watch = Callable[[str, date, int], None]


def run_window(context: dg.AssetExecutionContext) -> Window | None:
    """The run's days, or None for a run without partitions (a check launched alone). Raises
    ClearFailure for a range that runs backwards."""
    # has_partition_key alone is False in a range run, which would then lose its window
    if not (context.has_partition_key or context.has_partition_key_range):
        return None
    first, last = (date.fromisoformat(day) for day in context.partition_key_range)
    if last < first:
        raise runs_backwards(first, last)
    return Window.of(first, last)


def run_batches(context: dg.AssetExecutionContext) -> list[int]:
    """The run's batches; none for a run without partitions (a check launched alone). Raises
    ClearFailure for a range that runs backwards, which for Dagster is no batch at all."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    first, last = (int(key) for key in context.partition_key_range)
    if last < first:
        raise runs_backwards(first, last)
    return list(range(first, last + 1))


def runs_backwards(first: object, last: object) -> ClearFailure:
    """The failure of a partition range whose first partition comes after its last one. Dagster
    accepts it: of days it would be a window that ends before it starts, of batches none."""
    return ClearFailure(f"the range {first}...{last} runs backwards: give {last}...{first}")


def with_progress(context: dg.AssetExecutionContext, days: Sequence[P]) -> Iterator[P]:
    """The days or batches, one by one, with a line of progress in the log now and then. A line
    costs as much as some thousand rows, so there is not one for every day."""
    began = logged = time.monotonic()
    for done, day in enumerate(days):
        now = time.monotonic()
        if now - logged >= SECONDS_BETWEEN_PROGRESS:
            left = timedelta(seconds=round((now - began) / done * (len(days) - done)))
            context.log.info(f"{done} of {len(days)} days made, about {left} left")
            logged = now
        yield day
