"""What every asset with days has: its owners, its daily partitions, and when it is stale."""

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
