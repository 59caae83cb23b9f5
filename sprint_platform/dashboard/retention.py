"""Retention: the share of new players who come back on a later day."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import figure, line, shade
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import retention
from sprint_platform.dashboard.view import View

HEADLINE_DAYS = (1, 7, 30, 90)
# Up to so many days, each has a cohort of its own.
DAYS_ALONE = 14


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """Headline retention, the retention curve, and the cohorts as a heat map."""
    if "cohort_retention" not in view.title.marts:
        return [parts.missing("cohorts", "Cohorts", ["cohort_retention"], view.title.name)]
    curve = retention.curve(con, view.title, view.first, view.last, view.country)
    if not curve["day_number"]:
        where = f" in {view.country}" if view.country else ""
        return [
            parts.nothing(
                "cohorts",
                "Cohorts",
                f"Nobody signed up{where} on {wording.span(view.first, view.last)}, or a day after"
                " them is not published yet. Choose earlier days.",
            )
        ]
    before = retention.curve(con, view.title, *view.before, view.country) if view.before else None
    others = retention.curve(con, view.title, view.first, view.last, None) if view.country else None
    # a single day may have too few sign-ups for a retention
    grain = "day" if view.days <= DAYS_ALONE else "month" if view.grain == "month" else "week"
    cohorts = retention.cohorts(con, view.title, view.first, view.last, view.country, grain)
    return [
        _headlines(view, curve, before),
        _curve(view, curve, others),
        _cohorts(cohorts, grain),
    ]


def _headlines(view: View, curve: Columns, before: Columns | None) -> html.Section:
    now = dict(zip(curve["day_number"], curve["retention"], strict=True))
    then = dict(zip(before["day_number"], before["retention"], strict=True)) if before else {}
    numbers = [
        parts.headline(
            f"d{number}",
            f"Day {number}",
            wording.share(now.get(number)),
            parts.change(now.get(number), then.get(number), points=True),
            "played on that day" if number in now else "that day is not published",
        )
        for number in HEADLINE_DAYS
    ]
    compared = f" Changes are against those of {wording.span(*view.before)}." if view.before else ""
    return parts.headline_card(
        numbers,
        f"Of the players who signed up on {wording.span(view.first, view.last)}, as far as they are"
        f" old enough.{compared}",
    )


def _curve(view: View, curve: Columns, others: Columns | None) -> html.Section:
    name = view.country or "all countries"
    lines = [_line(name, curve, 0)]
    if others:
        lines.append(_line("all countries", others, 1))
    values = ", ".join(
        f"day {number}: {wording.share(value)}"
        for number, value in zip(curve["day_number"], curve["retention"], strict=True)
    )
    return parts.chart(
        "curve",
        "Retention curve",
        figure(
            lines,
            y_title="of the players",
            y_format=".0%",
            x_type="linear",
            x_title="days after signing up",
            xaxis={"tickvals": curve["day_number"]},
            hovermode="closest",
        ),
        f"Retention of {name}: {values}.",
        parts.table(
            "Retention by days after signing up",
            ["day", "retention", "came back", "of players"],
            [
                [
                    f"D{number}",
                    wording.share(value),
                    wording.count(retained),
                    wording.count(players),
                ]
                for number, players, retained, value in zip(*curve.values(), strict=True)
            ],
        ),
        wide=True,
    )


def _line(name: str, curve: Columns, nth: int) -> dict[str, Any]:
    return line(
        name,
        curve["day_number"],
        curve["retention"],
        nth,
        mode="lines+markers",
        hovertemplate="day %{x}: %{y:.1%}<extra>%{fullData.name}</extra>",
    )


def _cohorts(found: Columns, grain: str) -> html.Section:
    """The heat map as a table: its cells have the numbers and are coloured by them."""
    numbers = sorted(set(found["day_number"]))
    sizes: dict[Any, int] = {}
    cells: dict[tuple[Any, int], float | None] = {}
    for cohort, number, players, value in zip(*found.values(), strict=True):
        sizes[cohort] = players
        cells[cohort, number] = value
    strongest = max((value for value in cells.values() if value is not None), default=0) or 1
    rows = [
        [
            wording.period(cohort, grain),
            wording.count(sizes[cohort]),
            *(_cell(cells.get((cohort, number)), strongest) for number in numbers),
        ]
        for cohort in sizes
    ]
    note = (
        ""
        if grain == "day"
        else f" A {grain}'s cell is of those of its players who are that many days old."
    )
    return parts.card(
        "cohorts",
        [
            html.H2("Cohorts", id="cohorts-name"),
            html.P(
                f"Each row is the players who signed up in a {grain}; the more a cell"
                f" stands out, the more of them came back.{note}",
                className="summary",
            ),
            parts.table(
                f"Retention of cohorts by {grain} of sign-up",
                ["signed up", "players", *(f"D{number}" for number in numbers)],
                rows,
                key="cohort-table",
            ),
        ],
        wide=True,
    )


def _cell(value: float | None, strongest: float) -> html.Td:
    if value is None:
        return html.Td(wording.NONE, className="void")
    return html.Td(wording.share(value), className="shade", style=shade(value / strongest))
