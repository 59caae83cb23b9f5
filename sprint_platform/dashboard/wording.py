"""Numbers, times and lists as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TypeGuard

NONE = "–"
# A rate or a cohort of fewer people is grey, with their number: it says little of all others.
FEW_PEOPLE = 20


def count(value: float | None) -> str:
    """A whole number with commas between thousands."""
    return NONE if value is None else f"{value:,.0f}"


def counted(number: float, one: str, several: str) -> str:
    """A number of things: "1 day", "2,000 days"."""
    return f"{count(number)} {one if number == 1 else several}"


def is_few(people: float | None) -> TypeGuard[float]:
    """Whether so many people are too few for a rate; of an unknown number nobody knows."""
    return people is not None and people < FEW_PEOPLE


def average(value: float | None) -> str:
    """An average of counts: whole from 10 on, below it with one decimal where it has any."""
    if value is None:
        return NONE
    return count(value) if value >= 10 or value == round(value) else f"{value:.1f}"


def decimal(value: float | None) -> str:
    """A number with two decimals; one from 100 on."""
    if value is None:
        return NONE
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:,.2f}"


def money(value: float | None) -> str:
    """An amount in the title's currency, with two decimals; none from 10,000 on."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.2f}"


def amounts(values: Sequence[float]) -> list[str]:
    """Amounts beside each other, as ``money`` has the largest: all with decimals, or none."""
    whole = any(abs(value) >= 10_000 for value in values)
    return [f"{value:,.0f}" if whole else f"{value:,.2f}" for value in values]


def share(value: float | None) -> str:
    """A share of 1 as per cent."""
    return NONE if value is None else f"{value:.1%}".replace("%", "\u00a0%")


def duration(seconds: float | None) -> str:
    """A duration in seconds below 2 minutes, in minutes below 2 hours, else in hours."""
    if seconds is None:
        return NONE
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.0f} h"


def day(value: date | None) -> str:
    """A day in the form 3 Feb 2025."""
    return NONE if value is None else f"{value.day} {value:%b %Y}"


def span(first: date, last: date) -> str:
    """Two days as a span, with a common month or year written once."""
    if first == last:
        return day(first)
    if first.year != last.year:
        return f"{day(first)} – {day(last)}"
    if first.month != last.month:
        return f"{first.day} {first:%b} – {day(last)}"
    return f"{first.day} – {day(last)}"


def period(first: date, grain: str) -> str:
    """The name of a period: a day, a week by its Monday, or a month."""
    if grain == "month":
        return f"{first:%b %Y}"
    return f"week of {day(first)}" if grain == "week" else day(first)


def joined(words: list[str]) -> str:
    """Words as a list in a sentence: a, b and c."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def failure(error: Exception) -> str:
    """An exception's message in one line of at most 300 characters; its type where it has none."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
