"""The curve of retention, of a title's new players and of the event log's."""

from __future__ import annotations

from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.published import Columns


def values(curve: Columns) -> str:
    """The curve's values in words. Its columns are the days after the first, how many players are
    so old, how many of them came back on that day, and their share."""
    return ", ".join(
        f"day {number}: {wording.share(share)}"
        for number, share in zip(curve["day_number"], curve["retention"], strict=True)
    )


def ticks(curve: Columns) -> list[int]:
    """The curve's days, ascending, without those that would be written over the one before."""
    numbers = curve["day_number"]
    chosen = numbers[:1]
    for number in numbers[1:]:
        if number - chosen[-1] > numbers[-1] / 12:
            chosen.append(number)
    return chosen


def table(caption: str, curve: Columns) -> html.Div:
    """The curve as a table, a row a day."""
    return parts.table(
        caption,
        ["day", "retention", "came back", "of players"],
        [
            [
                f"D{number}",
                parts.rate_cell(wording.share(share), players),
                wording.count(retained),
                wording.count(players),
            ]
            for number, players, retained, share in zip(*curve.values(), strict=True)
        ],
    )
