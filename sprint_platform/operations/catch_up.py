"""Catching up missing days: which runs are asked for, and how long each may be."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from sprint_platform.core.settings import settings
from sprint_platform.core.window import Window, ranges

MOST_SECONDS = 2 * 60 * 60.0
# After so many failures in a row, in runs of its own, a day is passed over.
TRIES = 3
# A day without records costs its events in Dagster's history (measured: 275 such days in one run,
# on two cores).
SECONDS_AN_EMPTY_DAY = 0.13
FEW_RUNS = 3
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


def few_runs(days: list[date], filled: Collection[date]) -> list[Window]:
    """The days of a landed title (ascending) as few windows: what lies between two stretches is
    built with them where none of it is ``filled`` (has records), and it costs less than a run of
    its own. More than ``FEW_RUNS`` are joined further, as long as all windows together cost no more
    than a run for each stretch would."""
    # numpy: only where days are built
    from sprint_platform.simulation.estimates import SECONDS_A_RUN

    windows = ranges(days)
    between = [(after.start - before.end).days for before, after in pairwise(windows)]
    empty = [
        number
        for number, (before, after) in enumerate(pairwise(windows))
        if not any(day in filled for day in Window(before.end, after.start).days)
    ]
    joined: set[int] = set()
    budget: float = SECONDS_A_RUN * len(windows)
    for number in sorted(empty, key=lambda number: (between[number], number)):
        cost = SECONDS_AN_EMPTY_DAY * between[number]
        budget -= cost
        pays = cost <= SECONDS_A_RUN
        if not pays and (len(windows) - len(joined) <= FEW_RUNS or budget < 0):
            break
        joined.add(number)
    few: list[Window] = []
    for number, window in enumerate(windows):
        if number - 1 in joined:
            few[-1] = Window(few[-1].start, window.end)
        else:
            few.append(window)
    return few


def first_days(days: list[date], seconds: Callable[[list[date]], float]) -> list[date]:
    """The first of the days: at most ``catch_up_days``, and at most what takes ``MOST_SECONDS``,
    but at least one."""
    days = days[: settings().catch_up_days]
    if seconds(days) <= MOST_SECONDS:
        return days
    fit = bisect_right(range(1, len(days) + 1), MOST_SECONDS, key=lambda n: seconds(days[:n]))
    return days[: max(1, fit)]
