"""Retention: the share of new players who come back on a later day."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import parts, retention_curve, wording
from sprint_platform.dashboard.charts import SHARE, Trace, figure, labelled, rate
from sprint_platform.dashboard.countries import country_name
from sprint_platform.dashboard.heat_map import heat_map
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import activity, retention
from sprint_platform.dashboard.view import View

HEIGHT = 260
HEADLINE_DAYS = (1, 7, 30, 90)
# Up to so many days, each has a cohort of its own.
DAYS_ALONE = 14


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """Headline retention, the retention curve, and the cohorts as a heat map."""
    if "cohort_retention" not in view.title.marts:
        missing = parts.missing("cohorts", "Cohorts", ["cohort_retention"], view)
        return [*parts.missing_days(view), missing]
    curve = retention.curve(con, view.title, view.first, view.last, view.country)
    if not curve["day_number"]:
        nobody = parts.nothing("cohorts", "Cohorts", _no_cohort(con, view), wide=True)
        return [*parts.missing_days(view), nobody]
    before = retention.curve(con, view.title, *view.before, view.country) if view.before else None
    others = retention.curve(con, view.title, view.first, view.last, None) if view.country else None
    # a single day may have too few sign-ups for a retention
    grain = "day" if view.days <= DAYS_ALONE else "month" if view.grain == "month" else "week"
    cohorts = retention.cohorts(con, view.title, view.first, view.last, view.country, grain)
    return [
        *parts.missing_days(view),
        _headlines(view, curve, before),
        _curve(view, curve, others),
        _cohorts(cohorts, grain),
    ]


def _no_cohort(con: duckdb.DuckDBPyConnection, view: View) -> str:
    """Why nobody of these days has a retention."""
    where = f" ({country_name(view.country)})" if view.country else ""
    days = wording.span(view.first, view.last)
    new = activity.totals(con, view.title, view.first, view.last, view.country)["new_players"]
    if not new:
        return f"Nobody signed up on {days}{where}."
    why = f"{wording.counted(new, 'player', 'players')} signed up on {days}{where}: who of them"
    why += " comes back is known once later days are built."
    if (first := view.title.first) is not None and first < view.first:
        why += " Choose earlier days."
    return why


def _headlines(view: View, curve: Columns, before: Columns | None) -> html.Section:
    now = dict(zip(curve["day_number"], curve["retention"], strict=True))
    then = {}
    if before:
        values = zip(before["day_number"], before["retention"], before["players"], strict=True)
        then = {number: value for number, value, old in values if not wording.is_few(old)}
    people = dict(zip(curve["day_number"], curve["players"], strict=True))
    numbers = [
        parts.headline(
            f"d{number}",
            f"Day {number}",
            wording.share(now.get(number)),
            parts.change(now.get(number), then.get(number), points=True),
            "played on that day" if number in now else "that day is not published",
            people.get(number),
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
    name = country_name(view.country) if view.country else "all countries"
    lines = _line(name, curve, 0)
    if others:
        lines += _line("all countries", others, 1)
    widest = max(curve["day_number"])
    drawn = figure(
        lines,
        y_title="of the players",
        y_format=SHARE,
        x_type="linear",
        x_title="days after signing up",
        xaxis={"tickvals": retention_curve.ticks(curve), "range": [0, widest * 1.03]},
        hovermode="closest",
    )
    return parts.chart(
        "curve",
        "Retention curve",
        labelled(drawn, HEIGHT) if others else drawn,
        f"{name[:1].upper()}{name[1:]}: {retention_curve.values(curve)}.",
        retention_curve.table("Retention by days after signing up", curve),
        people=[*curve["players"], *(others["players"] if others else [])],
        height=HEIGHT,
        wide=True,
    )


def _line(name: str, curve: Columns, nth: int) -> list[Trace]:
    return rate(
        name,
        curve["day_number"],
        curve["retention"],
        curve["players"],
        nth,
        mode="lines+markers",
        hovertemplate="day %{x}: %{y:.1%}%{customdata}<extra>%{fullData.name}</extra>",
    )


def _cohorts(found: Columns, grain: str) -> html.Section:
    sizes = dict(zip(found["cohort"], found["players"], strict=True))
    note = (
        ""
        if grain == "day"
        else f" A {grain}'s cell is of those of its players who are that many days old."
    )
    return heat_map(
        "cohorts",
        "Cohorts",
        f"Each row is the players who signed up {'on' if grain == 'day' else 'in'} a {grain}; the"
        f" more a cell stands out, the more of them came back.{note}",
        f"Retention of cohorts by {grain} of sign-up",
        ("signed up", "players"),
        {number: f"D{number}" for number in sorted(set(found["day_number"]))},
        {cohort: (wording.period(cohort, grain), size) for cohort, size in sizes.items()},
        {
            (cohort, number): (value, old)
            for cohort, number, _, old, value in zip(*found.values(), strict=True)
        },
        wording.share,
        wide=True,
    )
