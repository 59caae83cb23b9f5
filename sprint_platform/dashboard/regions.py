"""Regions: players, play time and revenue by country."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import (
    AVERAGE,
    SERIES,
    Trace,
    bars,
    faded,
    figure,
    labelled,
    line,
)
from sprint_platform.dashboard.countries import country_name
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import regions
from sprint_platform.dashboard.view import View

# More bars than this are hard to read; the table has all countries.
COUNTRIES_DRAWN = 15
# As many lines as there are colours.
COUNTRIES_TRACED = len(SERIES)

HEIGHT = 260

COLUMNS = (
    ("active players a day", "active_players", wording.average),
    ("new players", "new_players", wording.count),
    ("sessions", "sessions", wording.count),
    ("play time", "play_time_seconds", wording.duration),
    ("… per player and day", "play_time_per_active_player", wording.duration),
    ("revenue", "revenue", wording.money),
    ("ARPDAU", "arpdau", wording.money),
    ("conversion", "payer_conversion", wording.share),
)
RATES = ("play_time_per_active_player", "arpdau", "payer_conversion")


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """Play time, players and revenue by country, as bars and as one table."""
    found = regions.by_country(con, view.title, view.first, view.last)
    if not found["country"]:
        return [*parts.missing_days(view), parts.no_days(view)]
    hours = [seconds / 3600 for seconds in found["play_time_seconds"]]
    money = view.title.currency
    return [
        *parts.missing_days(view),
        _bars("play-time", "Play time", found, hours, "hours played", _hours, 0),
        _bars("revenue", "Revenue", found, found["revenue"], f"in {money}", wording.amounts, 1),
        _active(con, view, found),
        _bars(
            "arpdau",
            "Revenue per active player (ARPDAU)",
            found,
            found["arpdau"],
            f"{money} a day",
            wording.amounts,
            2,
            rates=True,
        ),
        _table(view, found),
    ]


def _hours(values: list[float]) -> list[str]:
    return [f"{wording.average(value)} h" for value in values]


def _bars(
    key: str,
    name: str,
    found: Columns,
    values: list[Any],
    what: str,
    as_texts: Callable[[list[float]], list[str]],
    nth: int,
    *,
    rates: bool = False,
) -> html.Section:
    """A chart with a bar for each of the largest countries, the largest on top. ``rates`` are grey
    where they are of few people."""
    ranked = sorted(
        (
            (value or 0, country_name(country), people if rates else None)
            for value, country, people in zip(
                values, found["country"], found["players"], strict=True
            )
        ),
        key=lambda bar: (-bar[0], bar[1]),
    )
    texts = as_texts([value for value, _, _ in ranked])
    drawn = ranked[:COUNTRIES_DRAWN][::-1]
    longest = ranked[0][0]
    people = [number for _, _, number in drawn]
    trace: Trace = {
        **faded(bars(what, [value for value, _, _ in drawn], [], nth), people),
        "y": [country for _, country, _ in drawn],
        "orientation": "h",
        "text": [
            f"{text} of {wording.counted(number, 'player', 'players')}"
            if wording.is_few(number)
            else text
            for text, (_, _, number) in zip(texts[: len(drawn)][::-1], drawn, strict=True)
        ],
        # a short bar has no room for its number
        "textposition": ["auto" if value > longest / 6 else "outside" for value, _, _ in drawn],
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    where, most, least = ranked[0][1], texts[0], texts[-1]
    unit = " a day" if rates else ""
    rest = f" The {COUNTRIES_DRAWN} largest are drawn." if len(ranked) > COUNTRIES_DRAWN else ""
    return parts.chart(
        key,
        name,
        figure(
            [trace],
            x_type="linear",
            x_title=what,
            xaxis={"tickformat": AVERAGE, "showgrid": True, "rangemode": "tozero"},
            yaxis={"type": "category", "tickformat": "", "showgrid": False},
            hovermode="closest",
            bargap=0.3,
        ),
        f"{where}: {most}{unit}, the only country."
        if len(ranked) == 1
        else f"{most}{unit} in each country."
        if ranked[0][0] == ranked[-1][0]
        else f"Most: {where}, {most}{unit}; least: {ranked[-1][1]}, {least}.{rest}",
        note=[
            "The numbers are in ",
            html.A("the table of all countries", href="#countries"),
            ".",
        ],
        people=people,
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
    largest = order[0]
    when = wording.day(days[0]) if len(days) == 1 else "an average day"
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
        labelled(
            figure(
                [
                    line(
                        country_name(code),
                        days,
                        [played.get((day, code), 0) for day in days],
                        nth,
                    )
                    for nth, code in enumerate(traced)
                ],
                y_title="players a day",
                days=view.axis,
            ),
            HEIGHT,
        ),
        f"{country_name(largest[1])} has {wording.average(largest[0])} on {when}.{rest}",
        parts.table(
            f"Active players a day by {view.grain}",
            ["", *map(country_name, traced)],
            [
                [
                    wording.period(period, view.grain),
                    *(wording.average(cells.get((period, country), 0)) for country in traced),
                ]
                for period in sorted(set(table["period"]))
            ],
        ),
        height=HEIGHT,
    )


def _table(view: View, found: Columns) -> html.Section:
    few = parts.few_note(found["players"])
    return parts.card(
        "countries",
        [
            html.H2("All countries", id="countries-name"),
            *([html.P(few, className="summary")] if few else []),
            parts.table(
                f"Countries, {wording.span(view.first, view.last)}",
                ["country", *(heading for heading, _, _ in COLUMNS)],
                [
                    [
                        _with_code(country),
                        *(
                            parts.rate_cell(
                                as_text(found[column][n]),
                                found["players"][n] if column in RATES else None,
                            )
                            for _, column, as_text in COLUMNS
                        ),
                    ]
                    for n, country in enumerate(found["country"])
                ],
                key="country-table",
            ),
        ],
        wide=True,
    )


def _with_code(country: str) -> str:
    """The country's name and its code, which an address may have; the code alone where it has no
    name."""
    name = country_name(country)
    return name if name == country else f"{name} ({country})"
