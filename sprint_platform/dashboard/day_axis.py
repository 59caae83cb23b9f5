"""An axis of days: its range, its ticks, and bands where days are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

HALF_A_DAY = timedelta(hours=12)
# Up to so many days, each has a tick of its own; of more, so many ticks fit on a phone.
DAYS_WITH_A_TICK = 7
MOST_TICKS = 5


class Days(NamedTuple):
    """The days of a chart's axis, both inclusive, and those of them that are missing."""

    first: date
    last: date
    missing: Sequence[date] = ()


def day_axis(days: Days) -> dict[str, Any]:
    """An axis with ticks at whole days: plotly would also put them at hours, and for a single day
    at parts of a second."""
    first, last = (datetime.combine(day, time()) for day in (days.first, days.last))
    ticks = day_ticks(days.first, days.last)
    # the only day's bar would be as wide as the chart
    beside = HALF_A_DAY if first < last else 3 * HALF_A_DAY
    return {
        "range": [str(first - beside), str(last + beside)],
        **_named(ticks),
        "hoverformat": "%a %-d %b %Y",
    }


def thinned(axis: dict[str, Any]) -> dict[str, Any]:
    """The axis of a narrower chart: where it is one of days, with every second tick, and the last
    one."""
    if "ticktext" not in axis:
        return axis
    return {**axis, **_named([date.fromisoformat(day) for day in axis["tickvals"][::-2][::-1]])}


def _named(ticks: list[date]) -> dict[str, list[str]]:
    """Ticks at these days, with the year below the first one of each."""
    return {
        "tickvals": [str(day) for day in ticks],
        "ticktext": [
            f"{day.day} {day:%b}" + ("" if day.year == before.year else f"<br>{day.year}")
            for day, before in zip(ticks, [date.min, *ticks], strict=False)
        ],
    }


def day_ticks(first: date, last: date) -> list[date]:
    """The days with a tick, ascending: the last one always, and before it days or weeks in equal
    steps, or first days of months."""
    span = (last - first).days
    for step in (1, 2, 3, 7, 14, 21, 28):
        if span // step < (DAYS_WITH_A_TICK if step == 1 else MOST_TICKS):
            return [last - timedelta(days=step * n) for n in range(span // step, -1, -1)]
    before = first.year * 12 + first.month - 1
    months = [
        date(number // 12, number % 12 + 1, 1)
        for number in range(before + (first.day > 1), last.year * 12 + last.month)
    ]
    steps = (1, 2, 3, 6, 12, 24, 60, 120, 1200)
    step = next(n for n in steps if len(months) / n <= MOST_TICKS - 1)
    # a month's tick too near to the last day's would be written over it
    far = timedelta(days=16 * step)
    chosen = [day for day in months if (day.year * 12 + day.month - 1) % step == 0]
    return [*(day for day in chosen if last - day > far), last]


def bands(days: Days, colour: str) -> list[dict[str, Any]]:
    """Plotly's shapes of bands behind a chart's lines, over the missing days."""
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": str(datetime.combine(first, time()) - HALF_A_DAY),
            "x1": str(datetime.combine(last, time()) + HALF_A_DAY),
            "y0": 0,
            "y1": 1,
            "fillcolor": colour,
            "line": {"width": 0},
            "layer": "below",
        }
        for first, last in _runs(days.missing)
    ]


def _runs(days: Iterable[date]) -> list[tuple[date, date]]:
    """The first and last day of each run of days without a day between them."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and (day - found[-1][1]).days == 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
