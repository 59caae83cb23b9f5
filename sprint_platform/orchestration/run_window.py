"""The days or batches of a run of Dagster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import TypeVar

import dagster as dg

from sprint_platform.core.window import Window
from sprint_platform.orchestration.failures import ClearFailure
from sprint_platform.storage.partitions import P, Period

End = TypeVar("End", date, int)
SECONDS_BETWEEN_PROGRESS = 10.0
# Called with every chunk of rows that is made, and every result of dbt's: (asset, day, number).
Watch = Callable[[str, date, int], None]


def run_window(context: dg.AssetExecutionContext) -> Window | None:
    """The run's days, or None for a run without partitions (a check launched alone). Raises
    ClearFailure for a range that runs backwards."""
    ends = _ends(context, date.fromisoformat)
    return Window.of(*ends) if ends else None


def run_batches(context: dg.AssetExecutionContext) -> list[int]:
    """The run's batches; none for a run without partitions (a check launched alone). Raises
    ClearFailure for a range that runs backwards, which for Dagster is no batch at all."""
    ends = _ends(context, int)
    return [*range(ends[0], ends[1] + 1)] if ends else []


def run_periods(context: dg.AssetExecutionContext, batches: bool) -> list[Period]:
    """``run_batches``, or the days of ``run_window``; none for a run without partitions."""
    if batches:
        return [*run_batches(context)]
    window = run_window(context)
    return [*window.days] if window else []


def _ends(context: dg.AssetExecutionContext, read: Callable[[str], End]) -> tuple[End, End] | None:
    # has_partition_key alone is False in a range run, which would then lose its window
    if not (context.has_partition_key or context.has_partition_key_range):
        return None
    first, last = (read(key) for key in context.partition_key_range)
    if last < first:
        # Dagster accepts it: of days it would be a window that ends before it starts, of batches
        # none
        raise ClearFailure(f"the range {first}...{last} runs backwards: give {last}...{first}")
    return first, last


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
