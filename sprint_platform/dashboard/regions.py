"""Regions: players, play time and revenue by country."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import SERIES, Trace, bars, figure, line
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import regions
from sprint_platform.dashboard.view import View

# More bars than this are hard to read; the table has all countries.
COUNTRIES_DRAWN = 15
# As many lines as there are colours.
COUNTRIES_TRACED = len(SERIES)

COLUMNS = (
    ("active players a day", "active_players", wording.count),
    ("new players", "new_players", wording.count),
    ("sessions", "sessions", wording.count),
    ("play time", "play_time_seconds", wording.duration),
    ("… per player and day", "play_time_per_active_player", wording.duration),
    ("revenue", "revenue", wording.money),
    ("ARPDAU", "arpdau", wording.money),
    ("conversion", "payer_conversion", wording.share),
)


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """Play time, players and revenue by country, as bars and as one table."""
    found = regions.by_country(con, view.title, view.first, view.last)
    if not found["country"]:
        return [parts.no_days(view)]
    hours = [seconds / 3600 for seconds in found["play_time_seconds"]]
    return [
        _bars("play-time", "Play time", found, hours, "hours played", wording.count, 0),
        _bars("revenue", "Revenue", found, found["revenue"], "revenue", wording.money, 1),
        _active(con, view, found),
        _bars("arpdau", "Revenue per active player", found, found["arpdau"], "ARPDAU", _paid, 2),
        _table(view, found),
    ]


def _paid(value: float | None) -> str:
    return f"{wording.money(value)} a day"


def _bars(
    key: str, name: str, found: Columns, values: list[Any], what: str, as_text: Any, nth: int
) -> html.Section:
    """A chart with a bar for each of the largest countries, the largest on top."""
    ranked = sorted(
        ((value or 0, country) for value, country in zip(values, found["country"], strict=True)),
        key=lambda pair: (-pair[0], pair[1]),
    )
    drawn = ranked[:COUNTRIES_DRAWN][::-1]
    trace: Trace = {
        **bars(what, [value for value, _ in drawn], [], nth),
        "y": [country for _, country in drawn],
        "orientation": "h",
        "text": [as_text(value) for value, _ in drawn],
        "textposition": "auto",
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    where, most, least = ranked[0][1], as_text(ranked[0][0]), as_text(ranked[-1][0])
    rest = f" The {COUNTRIES_DRAWN} largest are drawn." if len(ranked) > COUNTRIES_DRAWN else ""
    return parts.chart(
        key,
        name,
        figure(
            [trace],
            x_type="linear",
            x_title=what,
            xaxis={"showgrid": True, "rangemode": "tozero"},
            yaxis={"type": "category", "tickformat": "", "showgrid": False},
            hovermode="closest",
            bargap=0.3,
        ),
        f"Most in {where}: {most}; least in {ranked[-1][1]}: {least}.{rest}"
        if len(ranked) > 1
        else f"All in {where}: {most}.",
        note=["The numbers are in ", html.A("the table of all countries", href="#countries"), "."],
        height=60 + 34 * max(len(drawn), 3),
    )


def _active(con: duckdb.DuckDBPyConnection, view: View, found: Columns) -> html.Section:
    times = regions.active_by_period(con, view.title, view.first, view.last, "day")
    table = regions.active_by_period(con, view.title, view.first, view.last, view.grain)
    order = sorted(
        zip(found["active_players"], found["country"], strict=True),
        key=lambda pair: (-pair[0], pair[1]),
    )
    traced = [country for _, country in order[:COUNTRIES_TRACED]]
    days = sorted(set(times["period"]))
    played = {
        (period, country): players for period, country, players in zip(*times.values(), strict=True)
    }
    cells = {
        (period, country): players for period, country, players in zip(*table.values(), strict=True)
    }
    rest = (
        f" The {len(traced)} largest of {len(order)} countries." if len(order) > len(traced) else ""
    )
    return parts.chart(
        "active",
        "Active players by country",
        figure(
            [
                line(name, days, [played.get((day, name), 0) for day in days], nth)
                for nth, name in enumerate(traced)
            ],
            y_title="players a day",
            showlegend=True,
        ),
        f"On an average day {wording.count(order[0][0])} play in {order[0][1]}.{rest}",
        parts.table(
            f"Active players a day by {view.grain}",
            ["", *traced],
            [
                [
                    wording.period(period, view.grain),
                    *(wording.count(cells.get((period, country), 0)) for country in traced),
                ]
                for period in sorted(set(table["period"]))
            ],
        ),
    )


def _table(view: View, found: Columns) -> html.Section:
    return parts.card(
        "countries",
        [
            html.H2("All countries", id="countries-name"),
            html.P("ZZ is where the country is not known.", className="summary"),
            parts.table(
                f"Countries, {wording.span(view.first, view.last)}",
                ["country", *(heading for heading, _, _ in COLUMNS)],
                [
                    [country, *(as_text(found[column][n]) for _, column, as_text in COLUMNS)]
                    for n, country in enumerate(found["country"])
                ],
                key="country-table",
            ),
        ],
        wide=True,
    )
