"""Numbers, times and changes as people read them."""

from __future__ import annotations

from datetime import date

NONE = "–"


def count(value: float | None) -> str:
    """A whole number, with thousands set apart."""
    return NONE if value is None else f"{value:,.0f}"


def decimal(value: float | None) -> str:
    """A number with two decimals, or one where it is large."""
    if value is None:
        return NONE
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:,.2f}"


def money(value: float | None) -> str:
    """An amount in the title's currency; a large one without its cents."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.2f}"


def share(value: float | None) -> str:
    """A share of 1 as per cent."""
    return NONE if value is None else f"{value:.1%}".replace("%", "\u00a0%")


def duration(seconds: float | None) -> str:
    """Seconds as seconds, minutes or hours, whichever is told best."""
    if seconds is None:
        return NONE
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.0f} h"


def day(value: date | None) -> str:
    """A day as 3 Feb 2025."""
    return NONE if value is None else f"{value.day} {value:%b %Y}"


def span(first: date, last: date) -> str:
    """Two days as a span, without saying a month or year twice."""
    if first == last:
        return day(first)
    if first.year != last.year:
        return f"{day(first)} – {day(last)}"
    if first.month != last.month:
        return f"{first.day} {first:%b} – {day(last)}"
    return f"{first.day} – {day(last)}"


def period(first: date, grain: str) -> str:
    """A table's row of days: a day, a week by its Monday, or a month."""
    if grain == "month":
        return f"{first:%b %Y}"
    return f"week of {day(first)}" if grain == "week" else day(first)


def joined(words: list[str]) -> str:
    """Words as a list in a sentence."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def failure(error: Exception) -> str:
    """What an exception says, in one line; its kind where it says nothing."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
