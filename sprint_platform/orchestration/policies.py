"""What the assets of every domain have: owners, partitions, and when they are stale."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg

OWNERS = ["team:sprint-platform"]

# The daily schedule runs a few hours after midnight; a day and a half without data is a missed run.
FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=36), warn_window=timedelta(hours=28)
)


def daily_partitions(first: date) -> dg.DailyPartitionsDefinition:
    """UTC days from the first (a title's launch) to today.

    A simulated day need not wait, and a landed one is built again whenever more of it comes.
    """
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone="UTC", end_offset=1)


def numbered_partitions(last: int) -> dg.StaticPartitionsDefinition:
    """The batches 1 to ``last``: any can be asked for, also where none was made yet."""
    return dg.StaticPartitionsDefinition([str(number) for number in range(1, last + 1)])
