"""A range of days, from the command line to the published file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Window:
    """Days from ``start`` up to, and without, ``end``."""

    start: date
    end: date

    @classmethod
    def of(cls, first: date, last: date) -> Window:
        """From the ``first`` day to the ``last``, with it."""
        return cls(first, last + timedelta(days=1))

    @property
    def days(self) -> list[date]:
        return [self.start + timedelta(days=n) for n in range((self.end - self.start).days)]

    def __str__(self) -> str:
        last = self.end - timedelta(days=1)
        return str(self.start) if self.start == last else f"{self.start} to {last}"


def ranges(days: list[date]) -> list[Window]:
    """The days (ascending) as windows without gaps: each is one run."""
    found: list[Window] = []
    for day in days:
        end = day + timedelta(days=1)
        if found and found[-1].end == day:
            found[-1] = Window(found[-1].start, end)
        else:
            found.append(Window(day, end))
    return found


def described(days: list[date]) -> str:
    """Days in words, short however many there are."""
    if len(days) == 1:
        return str(days[0])
    return f"{days[0]} (and {len(days) - 1} more, up to {days[-1]})"
