"""Sales: what was ordered day by day, and what of it the store keeps."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import domains, parts, wording
from sprint_platform.dashboard.charts import MONEY, SHARE, across, across_height, bars, figure, line
from sprint_platform.dashboard.countries import country_name
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import store
from sprint_platform.dashboard.view import DomainView

# More bars than this are hard to read; the table has all countries.
COUNTRIES_DRAWN = 12
SETTLED = (
    "Net orders are neither cancelled nor returned; those of the last 30 days may still become so."
)

HEADLINES: tuple[parts.Headline, ...] = (
    ("Revenue", "revenue", wording.money, False, "US dollars that the store keeps", ""),
    ("Orders", "orders", wording.count, False, "placed, whatever became of them", ""),
    (
        "Revenue per order",
        "revenue_per_order",
        wording.money,
        False,
        "US dollars per net order",
        "orders",
    ),
    ("Pieces", "pieces_per_order", wording.decimal, False, "per order", "orders"),
    ("Discounts", "discount_share", wording.share, True, "of the prices of all orders", "orders"),
    ("Cancelled", "cancelled_share", wording.share, True, "of the orders", "orders"),
    ("Returned", "returned_share", wording.share, True, "of the orders", "orders"),
    (
        "New customers",
        "new_customer_share",
        wording.share,
        True,
        "of the orders, on their first day",
        "orders",
    ),
)


def page(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[Any]:
    """The headline numbers, revenue and orders by day, and the countries side by side."""
    if absent := domains.missing(view, "sales", "Sales", "daily_sales"):
        return [absent]
    now = store.sales(con, view.domain, view.first, view.last)
    if not now["orders"]:
        why = f"Nothing was ordered on {wording.span(view.first, view.last)}."
        return [*domains.missing_days(view), domains.no_days(view, why)]
    before = store.sales(con, view.domain, *view.before) if view.before else {}
    days = store.sales_by_period(con, view.domain, view.first, view.last, "day")
    table = store.sales_by_period(con, view.domain, view.first, view.last, view.grain)
    return [
        *domains.missing_days(view),
        domains.headlines(view, HEADLINES, now, before),
        _revenue(view, now, days, table),
        _orders(view, now, days, table),
        _of_orders(
            view,
            days,
            table,
            "discount_share",
            "Discounts",
            "of the prices",
            of="of the prices of a day's orders",
            shares=True,
            note="A sale shows as days on which it is high.",
        ),
        _of_orders(
            view,
            days,
            table,
            "revenue_per_order",
            "Revenue per order",
            "US dollars per net order",
            of="US dollars per net order",
        ),
        _countries(store.sales_by_country(con, view.domain, view.first, view.last)),
    ]


def _revenue(view: DomainView, now: dict[str, Any], days: Columns, table: Columns) -> html.Section:
    most = max(range(len(days["revenue"])), key=lambda place: days["revenue"][place])
    net = now["revenue"] / now["gross"] if now["gross"] else None
    day, revenue = wording.day(days["period"][most]), wording.money(days["revenue"][most])
    best = f"; most on {day}, {revenue}" if len(days["period"]) > 1 else ""
    return parts.chart(
        "revenue",
        "What orders are worth",
        figure(
            [
                bars("revenue", days["period"], days["revenue"], 0),
                bars("discounts", days["period"], days["discount"], 1),
                bars("cancelled and returned", days["period"], days["lost"], 4),
            ],
            y_title="US dollars a day",
            y_format=MONEY,
            days=view.axis,
            barmode="stack",
        ),
        f"Of prices of {wording.money(now['gross'])} US dollars the store keeps"
        f" {wording.share(net)}{best}.",
        parts.table(
            f"What orders are worth by {view.grain}, in US dollars",
            ["", "prices", "discounts", "cancelled and returned", "revenue"],
            parts.period_rows(
                view,
                table,
                ("gross", wording.money),
                ("discount", wording.money),
                ("lost", wording.money),
                ("revenue", wording.money),
            ),
        ),
        note=f"Without tax and shipping. {SETTLED}",
        height=300,
        wide=True,
    )


def _orders(view: DomainView, now: dict[str, Any], days: Columns, table: Columns) -> html.Section:
    most = max(range(len(days["orders"])), key=lambda place: days["orders"][place])
    a_day = now["orders"] / len(days["period"])
    return parts.chart(
        "orders",
        "Orders",
        figure(
            [
                bars("net", days["period"], days["kept_orders"], 0),
                bars("cancelled", days["period"], days["cancelled_orders"], 1),
                bars("returned", days["period"], days["returned_orders"], 4),
            ],
            y_title="orders a day",
            days=view.axis,
            barmode="stack",
        ),
        f"{wording.decimal(a_day)} a day on average, at most {wording.count(days['orders'][most])}"
        f" on {wording.day(days['period'][most])}."
        if len(days["period"]) > 1
        else f"{wording.counted(now['orders'], 'order', 'orders')}.",
        parts.table(
            f"Orders by {view.grain}",
            ["", "placed", "cancelled", "returned", "net"],
            parts.period_rows(
                view,
                table,
                ("orders", wording.count),
                ("cancelled_orders", wording.count),
                ("returned_orders", wording.count),
                ("kept_orders", wording.count),
            ),
        ),
        note=SETTLED,
    )


def _of_orders(
    view: DomainView,
    days: Columns,
    table: Columns,
    column: str,
    name: str,
    unit: str,
    *,
    of: str,
    shares: bool = False,
    note: str | None = None,
) -> html.Section:
    """A rate of a day's orders as a line: amounts of money or, with ``shares``, shares; ``of`` says
    of what, in the sentence."""
    as_text = wording.share if shares else wording.money
    return parts.chart(
        column.replace("_", "-"),
        name,
        figure(
            [line(name.lower(), days["period"], days[column])],
            y_title=unit,
            y_format=SHARE if shares else MONEY,
            days=view.axis,
        ),
        parts.between(days[column], as_text, of),
        parts.table(
            f"{name} by {view.grain}", ["", unit], parts.period_rows(view, table, (column, as_text))
        ),
        note=note,
    )


def _countries(found: Columns) -> html.Section:
    names, revenue = list(map(country_name, found["country"])), found["revenue"]
    drawn = names[:COUNTRIES_DRAWN]
    columns = (
        ("orders", wording.count),
        ("revenue", wording.money),
        ("revenue_per_order", wording.money),
        ("cancelled_share", wording.share),
        ("returned_share", wording.share),
    )
    rest = f" The {len(drawn)} largest are drawn." if len(names) > len(drawn) else ""
    where = f"Most goes to {names[0]}" if len(names) > 1 else f"All goes to {names[0]}"
    return parts.chart(
        "countries",
        "Where orders go",
        across(drawn, revenue[: len(drawn)], wording.amounts(revenue), "revenue, US dollars"),
        f"{where}: {wording.money(revenue[0])} US dollars.{rest}",
        parts.table(
            "Countries of delivery",
            ["country", "orders", "revenue", "… per order", "cancelled", "returned"],
            [
                [name, *(as_text(found[column][n]) for column, as_text in columns)]
                for n, name in enumerate(names)
            ],
        ),
        height=across_height(len(drawn)),
    )
