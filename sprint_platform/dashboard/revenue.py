"""Revenue: by day, per player, by cohort, and the segments of payers."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import (
    MONEY,
    SERIES,
    SHARE,
    Trace,
    bars,
    faded,
    figure,
    hatched,
    labelled,
    rate,
)
from sprint_platform.dashboard.countries import country_name
from sprint_platform.dashboard.day_axis import DAYS_WITH_A_TICK
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import activity, revenue
from sprint_platform.dashboard.view import View

HEADLINES: tuple[parts.Headline, ...] = (
    ("Revenue", "revenue", wording.money, False, "in {currency}", ""),
    ("ARPDAU", "arpdau", wording.money, False, "per active player and day", "players"),
    ("ARPPU", "arppu", wording.money, False, "per paying player and day", "payers"),
    (
        "Conversion",
        "payer_conversion",
        wording.share,
        True,
        "of active players buy on a day",
        "players",
    ),
)
PAYERS = ("payer", "payers")
# Up to so many days a cohort is a week, beyond them a month: a table has a dozen rows or so.
DAYS_IN_WEEKS = 70
# As many lines as there are colours; the table has all cohorts.
COHORTS_DRAWN = len(SERIES)
HEIGHT = 320
VALUE_DAYS = (0, 1, 7, 14, 30, 60, 90)


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """Revenue by day, lifetime values, concentration and segments."""
    days = activity.daily(con, view.title, view.first, view.last, view.country)
    if not days["period"]:
        return [*parts.missing_days(view), parts.no_days(view)]
    if not any(days["revenue"]) and not any(days["purchases"]):
        where = f" ({country_name(view.country)})" if view.country else ""
        why = f"Nobody bought on these days{where}."
        return [
            *parts.missing_days(view),
            parts.nothing("revenue", "Revenue by day", why, wide=True),
        ]
    table = activity.daily(con, view.title, view.first, view.last, view.country, view.grain)
    return [
        *parts.missing_days(view),
        _headlines(con, view),
        _revenue(view, days, table),
        _per_active_player(view, days, table),
        _per_payer(view, days, table),
        _conversion(view, days, table),
        _lifetime_values(con, view),
        _concentration(con, view),
        _segments(con, view),
    ]


def _headlines(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    now = activity.totals(con, view.title, view.first, view.last, view.country)
    before = activity.totals(con, view.title, *view.before, view.country) if view.before else {}
    return parts.headline_section(view, HEADLINES, now, before)


def _revenue(view: View, days: Columns, table: Columns) -> html.Section:
    best = max(range(len(days["revenue"])), key=lambda place: days["revenue"][place])
    text = f"{wording.money(sum(days['revenue']))} in all"
    if len(days["period"]) > 1:
        text += f", most on {wording.day(days['period'][best])}:"
        text += f" {wording.money(days['revenue'][best])}"
    return parts.chart(
        "revenue",
        "Revenue by day",
        figure(
            [bars("revenue", days["period"], days["revenue"])],
            y_title=f"revenue in {view.title.currency}",
            y_format=MONEY,
            days=view.axis,
        ),
        f"{text}.",
        parts.table(
            f"Revenue by {view.grain}",
            ["", "revenue", "purchases"],
            parts.period_rows(
                view, table, ("revenue", wording.money), ("purchases", wording.count)
            ),
        ),
    )


def _per_active_player(view: View, days: Columns, table: Columns) -> html.Section:
    return parts.chart(
        "arpdau",
        "Revenue per active player (ARPDAU)",
        figure(
            rate("ARPDAU", days["period"], days["arpdau"], days["players"]),
            y_title=f"{view.title.currency} a day",
            y_format=MONEY,
            days=view.axis,
        ),
        parts.between(days["arpdau"], wording.money, "a day per active player"),
        parts.table(
            f"ARPDAU by {view.grain}",
            ["", "revenue per active player"],
            parts.period_rows(view, table, ("arpdau", wording.money), people="players"),
        ),
        people=days["players"],
    )


def _per_payer(view: View, days: Columns, table: Columns) -> html.Section:
    return parts.chart(
        "arppu",
        "Revenue per paying player (ARPPU)",
        figure(
            rate("ARPPU", days["period"], days["arppu"], days["payers"], of=PAYERS),
            y_title=f"{view.title.currency} a day",
            y_format=MONEY,
            days=view.axis,
        ),
        parts.between(days["arppu"], wording.money, "a day per paying player"),
        parts.table(
            f"ARPPU by {view.grain}",
            ["", "revenue per paying player"],
            parts.period_rows(view, table, ("arppu", wording.money), people="payers"),
        ),
        people=days["payers"],
    )


def _conversion(view: View, days: Columns, table: Columns) -> html.Section:
    return parts.chart(
        "conversion",
        "Conversion",
        figure(
            rate("conversion", days["period"], days["payer_conversion"], days["players"]),
            y_title="of active players",
            y_format=SHARE,
            days=view.axis,
        ),
        parts.between(days["payer_conversion"], wording.share, "of the day's active players buy"),
        parts.table(
            f"Conversion by {view.grain}",
            ["", "of active players"],
            parts.period_rows(view, table, ("payer_conversion", wording.share), people="players"),
        ),
        people=days["players"],
    )


def _lifetime_values(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    key, name = "lifetime-value", "Lifetime value by cohort"
    if "cohort_revenue" not in view.title.marts:
        return parts.missing(key, name, ["cohort_revenue"], view)
    grain = "week" if view.days <= DAYS_IN_WEEKS else "month"
    found = revenue.lifetime_values(con, view.title, view.first, view.last, view.country, grain)
    curves: dict[Any, dict[int, float]] = {}
    players: dict[Any, int] = {}
    for cohort, number, size, value in zip(*found.values(), strict=True):
        curves.setdefault(cohort, {})[number] = value
        players[cohort] = size
    if not curves:
        return parts.nothing(key, name, "Nobody signed up on these days.")
    if not any(value for values in curves.values() for value in values.values()):
        return parts.nothing(key, name, "Who signed up on these days has paid nothing so far.")
    chosen = _evenly(list(curves), COHORTS_DRAWN)
    lines: list[Trace] = []
    for nth, cohort in enumerate(chosen):
        lines += rate(
            f"{cohort.day} {cohort:%b}" if grain == "week" else wording.period(cohort, grain),
            list(curves[cohort]),
            list(curves[cohort].values()),
            [players[cohort]] * len(curves[cohort]),
            nth,
            mode="lines+markers",
            hovertemplate="day %{x}: %{y:,.2f}%{customdata}<extra>%{fullData.name}</extra>",
        )
    for traced in lines:
        traced["marker"] = {**traced["marker"], "maxdisplayed": 8}
    known = [number for number in VALUE_DAYS if any(number in values for values in curves.values())]
    eldest, values = next(iter(curves.items()))
    oldest = max(values)
    those = f"Those of {'the ' if grain == 'week' else ''}{wording.period(eldest, grain)}"
    longest = max(max(curves[cohort]) for cohort in chosen)
    if longest == 0:
        paid = f"{those} paid {wording.money(values[0])} each on the day that they signed up."
        return parts.nothing(key, name, f"{paid} Later days are not known of all of them yet.")
    rest = ", named by its first day" if grain == "week" else ""
    if len(chosen) < len(curves):
        rest += f"; {len(chosen)} of {len(curves)} are drawn"
    return parts.chart(
        key,
        name,
        labelled(
            figure(
                lines,
                y_title=f"{view.title.currency} per player so far",
                y_format=MONEY,
                x_type="linear",
                hovermode="closest",
                x_title="days after signing up",
                xaxis={
                    # the marks of the first day are whole
                    "range": [-longest / 60, longest],
                    **({"dtick": 1} if longest <= DAYS_WITH_A_TICK else {}),
                },
            ),
            HEIGHT,
        ),
        f"Each line is the players who signed up in a {grain} of these days{rest}. {those}"
        f" have paid {wording.money(values[oldest])} each by day {oldest}.",
        parts.table(
            f"Paid per player, by {grain} of sign-up and days after it",
            ["signed up", "players", *(f"day {number}" for number in known)],
            [
                [
                    wording.period(cohort, grain),
                    wording.count(players[cohort]),
                    *(
                        parts.rate_cell(wording.money(values.get(number)), players[cohort])
                        for number in known
                    ),
                ]
                for cohort, values in curves.items()
            ],
        ),
        people=list(players.values()),
        height=HEIGHT,
        wide=True,
    )


def _concentration(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    key, name = "concentration", "Where the revenue comes from"
    if "spender_concentration_monthly" not in view.title.marts:
        return parts.missing(key, name, ["spender_concentration_monthly"], view)
    months = revenue.concentration(con, view.title, view.first, view.last)
    if not months["year_month"]:
        return parts.nothing(key, name, "Nobody bought in the months of these days.")
    labels = [wording.period(month, "month") for month in months["year_month"]]
    return parts.chart(
        key,
        name,
        figure(
            [
                faded(
                    bars("top 10 % of payers", labels, months["top_10_percent_share"]),
                    months["payers"],
                    PAYERS,
                ),
                hatched(
                    faded(
                        bars("top 1 % of payers", labels, months["top_1_percent_share"], 1),
                        months["payers"],
                        PAYERS,
                    )
                ),
            ],
            y_title="of the month's revenue",
            y_format=SHARE,
            x_type="category",
            xaxis={"tickvals": labels, "ticktext": _short(months["year_month"]), "tickangle": 0},
            barmode="group",
            bargap=0.3 if len(labels) == 1 else 0.2,
            bargroupgap=0.05,
        ),
        f"In {labels[-1]} the top 1\u00a0% of payers brought"
        f" {wording.share(months['top_1_percent_share'][-1])} of the revenue, the top 10\u00a0%"
        f" {wording.share(months['top_10_percent_share'][-1])}.",
        parts.table(
            "Revenue of the largest payers by month",
            ["month", "payers", "revenue", "top 1 %", "top 10 %"],
            [
                [
                    month,
                    wording.count(months["payers"][place]),
                    wording.money(months["revenue"][place]),
                    *(
                        parts.rate_cell(
                            wording.share(months[share][place]), months["payers"][place]
                        )
                        for share in ("top_1_percent_share", "top_10_percent_share")
                    ),
                ]
                for place, month in enumerate(labels)
            ],
        ),
        note="Whole months, of all countries." if view.country else "Whole months.",
        people=months["payers"],
    )


def _segments(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    key, name = "segments", "Payers by recency, frequency and value (RFM)"
    if "player_rfm_monthly" not in view.title.marts:
        return parts.missing(key, name, ["player_rfm_monthly"], view)
    found = revenue.segments(con, view.title, view.last, view.country)
    if not found["segment"]:
        return parts.nothing(key, name, "Nobody bought in these months.")
    if found["segment"][0] is None:
        return parts.nothing(
            key,
            name,
            f"Not known of {wording.period(found['year_month'][0], 'month')}: days of its three"
            " months are missing.",
        )
    few = parts.few_note(found["players"])
    everybody, paid = sum(found["players"]), sum(found["monetary"])
    month = wording.period(found["year_month"][0], "month")
    backwards = slice(None, None, -1)
    shown = [
        {
            **faded(
                bars(what, [_of(value, whole) for value in found[column][backwards]], [], nth),
                [everybody] * len(found["segment"]),
                PAYERS,
            ),
            "y": found["segment"][backwards],
            "orientation": "h",
            "hovertemplate": "%{y}: %{x:.1%}%{customdata}<extra>%{fullData.name}</extra>",
        }
        for nth, (what, column, whole) in enumerate(
            (("of the payers", "players", everybody), ("of what they paid", "monetary", paid))
        )
    ]
    return parts.chart(
        key,
        name,
        figure(
            shown,
            x_type="linear",
            xaxis={"tickformat": SHARE, "showgrid": True, "rangemode": "tozero"},
            yaxis={"type": "category", "tickformat": "", "showgrid": False},
            barmode="group",
            hovermode="closest",
            legend={"traceorder": "normal"},
        ),
        f"In {month}, {found['segment'][0]} are {wording.share(found['players'][0] / everybody)} of"
        f" {wording.counted(everybody, *PAYERS)}"
        + (
            f" and brought {wording.share(found['monetary'][0] / paid)} of what they paid in three"
            " months."
            if paid
            else "; what they bought in three months cost nothing."
        ),
        parts.table(
            f"Segments of payers in {month}",
            ["segment", "players", "paid", "purchases each", "days since the last"],
            [
                [
                    segment,
                    wording.count(number),
                    wording.money(found["monetary"][place]),
                    parts.rate_cell(wording.decimal(found["frequency"][place]), number),
                    parts.rate_cell(wording.decimal(found["recency_days"][place]), number),
                ]
                for place, (segment, number) in enumerate(
                    zip(found["segment"], found["players"], strict=True)
                )
            ],
        ),
        # the chart's shares are of all payers
        note=f"In the table, {few[:1].lower()}{few[1:]}"
        if few and len(found["segment"]) > 1
        else None,
    )


def _short(months: list[date]) -> list[str]:
    """Names of months that fit below a chart: a year once, and every second one of many."""
    step = 1 if len(months) <= 8 else 2
    return [
        ""
        if n % step
        else f"{month:%b}"
        if n and months[n - step].year == month.year
        else f"{month:%b}<br>{month.year}"
        for n, month in enumerate(months)
    ]


def _evenly(values: list[Any], most: int) -> list[Any]:
    """At most so many of the values: the first, the last, and others evenly between them."""
    if len(values) <= most:
        return values
    return [values[round(n * (len(values) - 1) / (most - 1))] for n in range(most)]


def _of(value: float, whole: float) -> float | None:
    """The value as a share of the whole; None where the whole is 0, such as free purchases."""
    return value / whole if whole else None
