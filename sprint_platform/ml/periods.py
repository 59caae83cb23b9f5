"""Which weeks a model is trained on, calibrated on and tested on: in the order of time, with gaps.

A label looks ahead over its horizon. Between two periods lie at least as many days as the horizon
has, so that no label of one reaches into the weeks of the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sprint_platform.ml.errors import TooShort

# Half a year: what the longest label takes for four periods and the gaps between them.
WEEKS_NEEDED = 26
# A model learns from at most so many weeks: what was long ago was another game.
MOST_TRAINING_WEEKS = 52


@dataclass(frozen=True)
class Periods:
    """Mondays of weeks, ascending; the periods follow each other in time. ``fit`` and ``validate``
    are parts of ``train``, by which a model is chosen: without them (``validate`` empty) there is
    nothing to choose by."""

    train: tuple[date, ...]
    calibrate: tuple[date, ...]
    near: tuple[date, ...]
    far: tuple[date, ...]
    fit: tuple[date, ...]
    validate: tuple[date, ...]


def weeks_missing(weeks: int) -> str:
    """One line that says how many of ``WEEKS_NEEDED`` are missing; empty where none is."""
    missing = WEEKS_NEEDED - weeks
    if missing <= 0:
        return ""
    there = f"{weeks} week is" if weeks == 1 else f"{weeks} weeks are"
    lacking = f"{missing} week is" if missing == 1 else f"{missing} weeks are"
    return (
        f"models of what players do next need {WEEKS_NEEDED} whole weeks of history, of which"
        f" {there} there: {lacking} missing"
    )


def weeks_over(first: date, last: date) -> list[date]:
    """The Mondays of the weeks from the first day's on that are over by the ``last``."""
    monday = first - timedelta(days=first.weekday())
    return [monday + timedelta(days=n) for n in range(0, (last - monday).days - 5, 7)]


def in_a_row(weeks: Sequence[date]) -> list[date]:
    """Of these Mondays (ascending) those in a row up to the last: what lies before a hole is of no
    use."""
    return [
        week for n, week in enumerate(weeks) if (weeks[-1] - week).days == 7 * (len(weeks) - 1 - n)
    ]


def latest(weeks: Sequence[date], horizon_days: int) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """The last labelled weeks to train on and to calibrate on, with the gap between them: for a
    model that is used and was scored as ``split`` has it."""
    gap = -(-horizon_days // 7)
    return tuple(weeks[: -2 - gap])[-12:], tuple(weeks[-2:])


def split(weeks: Sequence[date], horizon_days: int) -> Periods:
    """The periods of labelled weeks (Mondays, ascending, none left out) for a label of that
    horizon. Raises TooShort where no week would be left to train on."""
    gap = -(-horizon_days // 7)
    # a month's label leaves room for a week in each period, a fortnight's for two
    size = 2 if gap <= 2 else 1
    step = size + gap
    train = tuple(weeks[: -3 * step])[-MOST_TRAINING_WEEKS:]
    if not train:
        raise TooShort(
            f"{len(weeks)} weeks have a label of {horizon_days} days, and it takes"
            f" {3 * step + 1}: training, calibration and two tests, {gap} weeks apart"
        )
    ends = {name: len(weeks) - n * step for n, name in enumerate(("far", "near", "calibrate"))}
    held = {name: tuple(weeks[end - size : end]) for name, end in ends.items()}
    fit = train[:-step]
    return Periods(train=train, **held, fit=fit, validate=train[-size:] if fit else ())
