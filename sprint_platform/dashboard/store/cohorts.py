"""Cohorts: whether customers come back to order, what they bring, and who of them plays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import domains, parts, wording
from sprint_platform.dashboard.charts import SHARE, bars, figure, rate
from sprint_platform.dashboard.heat_map import heat_map
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import store
from sprint_platform.dashboard.view import DomainView

# Earlier cohorts and later months than these make a heat map that no screen shows.
COHORTS_SHOWN, MONTHS_SHOWN = 24, 12
SEGMENTS = {"loyal": "5 and more", "repeat": "2 to 4", "one_time": "1", "none": "none"}
FIRST_PURCHASES = {"game": "in the game", "store": "in the store", None: "nowhere yet"}


def page(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[Any]:
    """Two heat maps of cohorts and their curve, the segments of customers, and the players."""
    return [
        *domains.missing_days(view),
        *_cohorts(con, view),
        *_segments(con, view),
        _players(con, view),
    ]


def _cohorts(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[html.Section]:
    if absent := domains.missing(view, "cohorts", "Cohorts", "customer_cohorts"):
        return [absent]
    found = store.cohorts(con, view.domain)
    if not found["cohort_month"]:
        return [parts.nothing("cohorts", "Cohorts", "Nobody has registered yet.", wide=True)]
    over = view.domain.last
    return [
        *_curve(store.cohort_curve(con, view.domain, over)),
        _heat_map(
            "cohorts",
            "Who orders again",
            f"Each row is the customers who registered in a month; the more a cell stands out,"
            f" the more of them ordered in a month. {_unfinished(over)}",
            found,
            "active_share",
            wording.share,
        ),
        _heat_map(
            "revenue-cohorts",
            "What customers bring",
            "Revenue since they registered, in US dollars per customer of the cohort. A cohort over"
            f" missing days has none. {_unfinished(over)}",
            found,
            "revenue_each",
            wording.money,
        ),
    ]


def _unfinished(over: date) -> str:
    return f"The data end on {wording.day(over)}: the last month of each row goes up to then."


def _curve(found: Columns) -> list[html.Section]:
    if len(found["months_since"]) < 2:
        # a curve of one point says nothing that the heat map does not
        return []
    months, shares = found["months_since"], found["active_share"]
    return [
        parts.chart(
            "curve",
            "Orders by age",
            figure(
                rate(
                    "ordered",
                    months,
                    shares,
                    found["customers"],
                    of=("customer", "customers"),
                    mode="lines+markers",
                    hovertemplate="month %{x}: %{y:.1%}%{customdata}<extra></extra>",
                ),
                y_title="of the customers",
                y_format=SHARE,
                x_type="linear",
                x_title="months since the registration",
                xaxis={"tickvals": months},
                hovermode="closest",
            ),
            f"{wording.share(shares[0])} order in the month in which they register,"
            f" {wording.share(shares[1])} in the month after"
            + (f", {wording.share(shares[-1])} in month {months[-1]}." if len(months) > 2 else "."),
            parts.table(
                "Customers who ordered, by months since the registration",
                ["month", "customers", "ordered", "share"],
                [
                    [
                        str(month),
                        wording.count(of),
                        wording.count(active),
                        parts.rate_cell(wording.share(share), of),
                    ]
                    for month, of, active, share in zip(*found.values(), strict=True)
                ],
            ),
            note="Of cohorts that are so old, months that are over alone.",
            people=found["customers"],
            wide=True,
        )
    ]


def _heat_map(
    key: str,
    name: str,
    summary: str,
    found: Columns,
    column: str,
    as_text: Callable[[Any], str],
) -> html.Section:
    """The heat map of a column, of the latest cohorts and first months."""
    months = [month for month in sorted(set(found["months_since"])) if month <= MONTHS_SHOWN]
    sizes = dict(zip(found["cohort_month"], found["customers"], strict=True))
    shown = sorted(sizes)[-COHORTS_SHOWN:]
    of_cohorts = zip(found["cohort_month"], found["months_since"], found[column], strict=True)
    return heat_map(
        key,
        name,
        summary,
        "By month of the registration and months since",
        ("registered", "customers"),
        {month: f"M{month}" for month in months},
        {cohort: (f"{cohort:%b %Y}", sizes[cohort]) for cohort in shown},
        {
            (cohort, month): (value, sizes[cohort])
            for cohort, month, value in of_cohorts
            if cohort in shown and month in months
        },
        as_text,
        wide=len(months) > 5,
    )


def _segments(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[html.Section]:
    if absent := domains.missing(view, "segments", "Customers", "customer_lifetime_value"):
        return [absent]
    found = store.segments(con, view.domain)
    if not found["segment"]:
        return []
    names = [SEGMENTS.get(name, name) for name in found["segment"]]
    customers, revenue = sum(found["customers"]), sum(found["revenue"])
    buyers = sum(
        number
        for name, number in zip(found["segment"], found["customers"], strict=True)
        if name != "none"
    )
    best = store.best_tenth(con, view.domain)
    tenth = f" The best tenth of them brings {wording.share(best)} of the revenue." if best else ""
    return [
        parts.chart(
            "segments",
            "Customers and what they bring",
            figure(
                [
                    bars("of the customers", names, [n / customers for n in found["customers"]], 0),
                    bars(
                        "of the revenue",
                        names,
                        [one / revenue if revenue else 0 for one in found["revenue"]],
                        1,
                    ),
                ],
                x_type="category",
                x_title="net orders",
                y_title="share",
                y_format=SHARE,
            ),
            f"{wording.share(buyers / customers)} of"
            f" {wording.counted(customers, 'customer', 'customers')} have an order that they"
            f" neither cancelled nor returned.{tenth}",
            parts.table(
                "Customers by net orders",
                ["net orders", "customers", "orders", "revenue", "… per order"],
                [
                    [
                        name,
                        wording.count(of),
                        wording.count(orders),
                        wording.money(brought),
                        wording.money(each),
                    ]
                    for name, (_, of, orders, brought, each) in zip(
                        names, zip(*found.values(), strict=True), strict=True
                    )
                ],
            ),
            note="Since the store opened; revenue in US dollars.",
        )
    ]


def _players(con: duckdb.DuckDBPyConnection, view: DomainView) -> html.Section:
    key, name = "players", "Players who shop"
    if absent := domains.missing(view, key, name, "player_value"):
        return absent
    found = store.players(con, view.domain)
    if not found["players"]:
        return parts.nothing(key, name, "No customer is a player of a game.")
    known, few = any(found["in_game_known"]), parts.few_note(found["players"])
    rows = [
        [
            FIRST_PURCHASES.get(where, where),
            wording.count(players),
            parts.rate_cell(wording.money(in_game) if known else wording.NONE, players),
            parts.rate_cell(wording.money(in_store), players),
        ]
        for where, players, _, in_game, in_store in zip(*found.values(), strict=True)
    ]
    total = sum(found["players"])
    in_store = sum(
        players * each for players, each in zip(found["players"], found["in_store"], strict=True)
    )
    note = (
        ""
        if known
        else " What they spend in the game is not known: its purchases are loaded with a run of the"
        " title, and the next build of the store reads them."
    )
    return parts.card(
        key,
        [
            html.H2(name, id=f"{key}-name"),
            html.P(
                f"{wording.counted(total, 'customer is a player', 'customers are players')} of the"
                f" game; they spend {wording.money(in_store / total)} US dollars each in the store."
                f"{note}",
                className="summary",
            ),
            parts.table(
                "Players by the place of their first purchase, and what each spends (US dollars)",
                ["bought first", "players", "in the game", "in the store"],
                rows,
            ),
            *([html.P(few, className="note")] if few else []),
        ],
    )
