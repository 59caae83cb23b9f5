"""Catching up missing days: which runs are asked for, and how long each may be."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from sprint_platform.core.settings import settings
from sprint_platform.core.window import Window, ranges

MOST_SECONDS = 2 * 60 * 60.0
# After so many failures in a row, in runs of its own, a day is passed over.
TRIES = 3
# About how many seconds it takes to build these days in so many runs.
Seconds = Callable[[list[date], int], float]


@dataclass(frozen=True)
class EndedRun:
    """The days of a run that has ended, and whether it failed."""

    window: Window
    failed: bool


@dataclass(frozen=True)
class CatchUp:
    """What is asked for next. ``windows`` are runs: the oldest missing days as one run, or a run
    for each where the last run of them failed. ``passed_over`` are the missing days that failed so
    often in runs of their own that they no longer stop the others."""

    windows: list[Window]
    passed_over: list[date]


def next_runs(missing: list[date], past: Iterable[EndedRun], seconds: Seconds) -> CatchUp:
    """The runs that catch up the oldest gap of the ``missing`` days (ascending). ``past`` are the
    earlier runs over days, the last one first. Together the runs take at most ``catch_up_days``
    days and ``MOST_SECONDS``, but at least a day."""
    failures = failures_of_days(past, set(missing))
    passed_over = [day for day in missing if failures.get(day, 0) >= TRIES]
    gaps = ranges([day for day in missing if day not in passed_over])
    if not gaps:
        return CatchUp([], passed_over)
    gap = gaps[0].days
    alone = gap[0] in failures
    # a gap may begin with days that failed, and go on with others
    alike = next((n for n, day in enumerate(gap) if (day in failures) != alone), len(gap))
    days = gap[:alike]
    if alone:
        days = first_days(days, lambda part: seconds(part, len(part)))
        return CatchUp([window for day in days for window in ranges([day])], passed_over)
    return CatchUp(ranges(first_days(days, lambda part: seconds(part, 1))), passed_over)


def failures_of_days(past: Iterable[EndedRun], days: Collection[date]) -> Mapping[date, int]:
    """Those of these days whose last run failed, and how often in a row each has failed in a run of
    its own; 0 where it failed only together with others."""
    failures: dict[date, int] = {}
    ended: set[date] = set()
    for run in past:
        for day in run.window.days:
            if day not in days or day in ended:
                continue
            if not run.failed:
                ended.add(day)
            else:
                failures[day] = failures.get(day, 0) + (len(run.window.days) == 1)
    return failures


def runs_of(days: list[date], seconds: Seconds) -> list[Window]:
    """All of the days (ascending) as windows without gaps, each at most as long as a run may be."""
    windows = []
    for gap in ranges(days):
        left = gap.days
        while left:
            taken = first_days(left, lambda part: seconds(part, 1))
            windows += ranges(taken)
            left = left[len(taken) :]
    return windows


def first_days(days: list[date], seconds: Callable[[list[date]], float]) -> list[date]:
    """The first of the days: at most ``catch_up_days``, and at most what takes ``MOST_SECONDS``,
    but at least one."""
    days = days[: settings().catch_up_days]
    if seconds(days) <= MOST_SECONDS:
        return days
    fit = bisect_right(range(1, len(days) + 1), MOST_SECONDS, key=lambda n: seconds(days[:n]))
    return days[: max(1, fit)]
