"""Revenue: by day, per player, by cohort, and the segments of payers."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import DASHES, bars, colour_of, figure, line
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import activity, revenue
from sprint_platform.dashboard.view import View

HEADLINES = (
    ("Revenue", "revenue", wording.money, False, "in the title's currency"),
    ("ARPDAU", "arpdau", wording.money, False, "per active player and day"),
    ("ARPPU", "arppu", wording.money, False, "per paying player and day"),
    ("Conversion", "payer_conversion", wording.share, True, "of active players buy on a day"),
)
# Up to so many days a cohort is a week, beyond them a month: a chart has a dozen lines at most.
DAYS_IN_WEEKS = 70
VALUE_DAYS = (0, 1, 7, 14, 30, 60, 90)


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """Revenue by day, lifetime values, concentration and segments."""
    days = activity.daily(con, view.title, view.first, view.last, view.country)
    if not days["period"]:
        return [parts.no_days(view)]
    if not any(days["revenue"]) and not any(days["purchases"]):
        where = f" in {view.country}" if view.country else ""
        return [parts.nothing("revenue", "Revenue by day", f"Nobody bought{where} on these days.")]
    table = activity.daily(con, view.title, view.first, view.last, view.country, view.grain)
    return [
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
    return parts.chart(
        "revenue",
        "Revenue by day",
        figure([bars("revenue", days["period"], days["revenue"])], y_title="revenue"),
        f"{wording.money(sum(days['revenue']))} in all, most of it on"
        f" {wording.day(days['period'][best])}: {wording.money(days['revenue'][best])}.",
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
        figure([line("ARPDAU", days["period"], days["arpdau"])], y_title="a day", y_format=",.2f"),
        parts.between(days["arpdau"], wording.money, "a day per active player"),
        parts.table(
            f"ARPDAU by {view.grain}",
            ["", "revenue per active player"],
            parts.period_rows(view, table, ("arpdau", wording.money)),
        ),
    )


def _per_payer(view: View, days: Columns, table: Columns) -> html.Section:
    return parts.chart(
        "arppu",
        "Revenue per paying player (ARPPU)",
        figure([line("ARPPU", days["period"], days["arppu"])], y_title="a day", y_format=",.2f"),
        parts.between(days["arppu"], wording.money, "a day per paying player"),
        parts.table(
            f"ARPPU by {view.grain}",
            ["", "revenue per paying player"],
            parts.period_rows(view, table, ("arppu", wording.money)),
        ),
    )


def _conversion(view: View, days: Columns, table: Columns) -> html.Section:
    return parts.chart(
        "conversion",
        "Conversion",
        figure(
            [line("conversion", days["period"], days["payer_conversion"])],
            y_title="of active players",
            y_format=".0%",
        ),
        parts.between(days["payer_conversion"], wording.share, "of the day's active players buy"),
        parts.table(
            f"Conversion by {view.grain}",
            ["", "of active players"],
            parts.period_rows(view, table, ("payer_conversion", wording.share)),
        ),
    )


def _lifetime_values(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    key, name = "lifetime-value", "Lifetime value by cohort"
    if "cohort_revenue" not in view.title.marts:
        return parts.missing(key, name, ["cohort_revenue"], view.title.name)
    grain = "week" if view.days <= DAYS_IN_WEEKS else "month"
    found = revenue.lifetime_values(con, view.title, view.first, view.last, view.country, grain)
    curves: dict[Any, dict[int, float]] = {}
    players: dict[Any, int] = {}
    for cohort, number, size, value in zip(*found.values(), strict=True):
        curves.setdefault(cohort, {})[number] = value
        players[cohort] = size
    if not curves:
        return parts.nothing(key, name, "Nobody signed up on these days.")
    lines = []
    for nth, (cohort, values) in enumerate(curves.items()):
        traced = line(wording.period(cohort, grain), list(values), list(values.values()))
        # later cohorts are darker
        colour = colour_of(0.5 + 0.5 * nth / max(len(curves) - 1, 1))
        traced["line"] = {"color": colour, "width": 2, "dash": DASHES[nth % len(DASHES)]}
        traced["hovertemplate"] = "day %{x}: %{y:,.2f}<extra>%{fullData.name}</extra>"
        lines.append(traced)
    known = [number for number in VALUE_DAYS if any(number in values for values in curves.values())]
    eldest, values = next(iter(curves.items()))
    oldest = max(values)
    return parts.chart(
        key,
        name,
        figure(
            lines,
            y_title="paid per player so far",
            y_format=",.0f",
            x_type="linear",
            hovermode="closest",
            x_title="days after signing up",
            showlegend=True,
            margin={"t": 12},
            legend={"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top"},
        ),
        f"Each line is the players who signed up in a {grain} of these days. Those of"
        f" {wording.period(eldest, grain)} have paid {wording.money(values[oldest])} each by day"
        f" {oldest}.",
        parts.table(
            f"Paid per player, by {grain} of sign-up and days after it",
            ["signed up", "players", *(f"day {number}" for number in known)],
            [
                [
                    wording.period(cohort, grain),
                    wording.count(players[cohort]),
                    *(wording.money(values.get(number)) for number in known),
                ]
                for cohort, values in curves.items()
            ],
        ),
        height=320,
        wide=True,
    )


def _concentration(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    key, name = "concentration", "Where the revenue comes from"
    if "spender_concentration_monthly" not in view.title.marts:
        return parts.missing(key, name, ["spender_concentration_monthly"], view.title.name)
    months = revenue.concentration(con, view.title, view.first, view.last)
    if not months["year_month"]:
        return parts.nothing(key, name, "Nobody bought in the months of these days.")
    labels = [wording.period(month, "month") for month in months["year_month"]]
    return parts.chart(
        key,
        name,
        figure(
            [
                bars("top 10 % of payers", labels, months["top_10_percent_share"]),
                bars("top 1 % of payers", labels, months["top_1_percent_share"], 1),
            ],
            y_title="of the month's revenue",
            y_format=".0%",
            x_type="category",
            barmode="group",
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
                    wording.share(months["top_1_percent_share"][place]),
                    wording.share(months["top_10_percent_share"][place]),
                ]
                for place, month in enumerate(labels)
            ],
        ),
        note="Whole months, of all countries." if view.country else "Whole months.",
    )


def _segments(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    key, name = "segments", "Payers by recency, frequency and value (RFM)"
    if "player_rfm_monthly" not in view.title.marts:
        return parts.missing(key, name, ["player_rfm_monthly"], view.title.name)
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
    everybody, paid = sum(found["players"]), sum(found["monetary"])
    month = wording.period(found["year_month"][0], "month")
    backwards = slice(None, None, -1)
    shown = [
        {
            **bars(what, [_of(value, whole) for value in found[column][backwards]], [], nth),
            "y": found["segment"][backwards],
            "orientation": "h",
            "hovertemplate": "%{y}: %{x:.1%}<extra>%{fullData.name}</extra>",
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
            xaxis={"tickformat": ".0%", "showgrid": True, "rangemode": "tozero"},
            yaxis={"type": "category", "tickformat": "", "showgrid": False},
            barmode="group",
            hovermode="closest",
            legend={"traceorder": "normal"},
        ),
        f"In {month}, {found['segment'][0]} are {wording.share(found['players'][0] / everybody)} of"
        f" {wording.count(everybody)} payers"
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
                    wording.count(found["players"][place]),
                    wording.money(found["monetary"][place]),
                    wording.decimal(found["frequency"][place]),
                    wording.decimal(found["recency_days"][place]),
                ]
                for place, segment in enumerate(found["segment"])
            ],
        ),
    )


def _of(value: float, whole: float) -> float | None:
    """The value as a share of the whole; None where the whole is 0, such as free purchases."""
    return value / whole if whole else None
