"""A range of days, from the command line to the published file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

# No record, title, store or batch has other days: the years of the contracts' times.
EARLIEST, LATEST = date(1970, 1, 1), date(2100, 12, 31)


@dataclass(frozen=True)
class Window:
    """Days from ``start`` to ``end``, without ``end``."""

    start: date
    end: date

    @classmethod
    def of(cls, first: date, last: date) -> Window:
        """The window from the ``first`` day to the ``last``, both included."""
        return cls(first, last + timedelta(days=1))

    @property
    def days(self) -> list[date]:
        return [self.start + timedelta(days=n) for n in range((self.end - self.start).days)]

    def __str__(self) -> str:
        return span(self.start, self.end - timedelta(days=1))


def ranges(days: list[date]) -> list[Window]:
    """The days (ascending) as windows without gaps, each for one run."""
    windows: list[Window] = []
    for day in days:
        end = day + timedelta(days=1)
        if windows and windows[-1].end == day:
            windows[-1] = Window(windows[-1].start, end)
        else:
            windows.append(Window(day, end))
    return windows


def span(first: object, last: object) -> str:
    """A range of days or batches in words."""
    return str(first) if first == last else f"{first} to {last}"


def described(periods: Sequence[object]) -> str:
    """Days or batches in words: the first, how many more, and the last."""
    if len(periods) == 1:
        return str(periods[0])
    return f"{periods[0]} (and {len(periods) - 1} more, up to {periods[-1]})"
