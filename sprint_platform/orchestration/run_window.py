"""The days that a run of Dagster is about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from sprint_platform.core.window import Window
from sprint_platform.orchestration.failures import ClearFailure

SECONDS_BETWEEN_PROGRESS = 10.0


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


def runs_backwards(first: object, last: object) -> ClearFailure:
    """What to say of a partition range whose first partition comes after its last one. Dagster
    lets it through: of days it would be a window that ends before it starts, of batches none."""
    return ClearFailure(f"the range {first}...{last} runs backwards: give {last}...{first}")


def with_progress(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[date]:
    """The days, one by one; now and then the log says how far it is. Every line costs as much as
    some thousand rows, so not at every day."""
    began = told = time.monotonic()
    for done, day in enumerate(days):
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_PROGRESS:
            left = timedelta(seconds=round((now - began) / done * (len(days) - done)))
            context.log.info(f"{done} of {len(days)} days made, about {left} left")
            told = now
        yield day
