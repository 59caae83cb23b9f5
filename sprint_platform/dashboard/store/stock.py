"""Stock: what is on hand, what it is worth, and what runs out."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import domains, parts, wording
from sprint_platform.dashboard.charts import MONEY, across, across_height, bars, figure, line
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import store
from sprint_platform.dashboard.view import DomainView

# Pieces last by the pace of orders in the months of so many days.
DAYS_OF_PACE = 28
# A product's days of stock: below this many, and what a bar of them is called.
LASTS = (
    (7, "below 7 days"),
    (14, "7 to 13"),
    (28, "14 to 27"),
    (56, "28 to 55"),
    (112, "56 to 111"),
    (float("inf"), "112 and more"),
)
PRODUCTS_LISTED = 10


def page(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[Any]:
    """Stock on the last day, by day, by product and by category."""
    if absent := domains.missing(view, "stock", "Stock", "stock_on_hand"):
        return [absent]
    days = store.stock_by_period(con, view.domain, view.first, view.last, "day")
    if not days["period"]:
        why = f"No stock is published of {wording.span(view.first, view.last)}."
        return [*domains.missing_days(view), domains.no_days(view, why)]
    table = store.stock_by_period(con, view.domain, view.first, view.last, view.grain)
    day = days["period"][-1]
    out = _out_of_stock(view, days, table)
    categories = _categories(store.stock_by_category(con, view.domain, day), day)
    if absent := domains.missing(view, "lasting", "Days of stock", "product_performance"):
        shown = [_headlines(days, None), absent, _worth(view, days, table), *out, categories]
    else:
        since = max(day - timedelta(days=DAYS_OF_PACE - 1), view.published[0])
        found = store.stock_of_products(con, view.domain, day, since)
        shown = [
            _headlines(days, found),
            _lasting(found, since, day),
            _worth(view, days, table),
            *out,
            categories,
            _lowest(found, day),
        ]
    return [*domains.missing_days(view), *shown]


def _headlines(days: Columns, found: Columns | None) -> html.Section:
    short = None
    if found is not None:
        short = sum(
            pieces > 0 and left is not None and left < LASTS[0][0]
            for pieces, left in zip(found["closing_stock"], found["days_left"], strict=True)
        )
    lacks, unknown = "", days["unknown"][-1]
    if unknown:
        lacks = (
            f" The stock of {wording.counted(unknown, 'product', 'products')} is not known: a day"
            " since its last movement is missing."
        )
    if not days["whole"][-1]:
        lacks += (
            " Days of the week before are missing: products that have not moved since are in none"
            " of these numbers."
        )
    return parts.headline_card(
        [
            parts.headline("products", "Products", wording.count(days["products"][-1])),
            parts.headline(
                "out-of-stock",
                "Out of stock",
                wording.count(days["out_of_stock"][-1]),
                note="of these products",
            ),
            parts.headline("short", "Nearly out", wording.count(short), note=f"last {LASTS[0][1]}"),
            parts.headline(
                "worth", "Worth", wording.money(days["worth"][-1]), note="US dollars, at cost"
            ),
        ],
        f"At the end of {wording.day(days['period'][-1])}.{lacks}",
    )


def _worth(view: DomainView, days: Columns, table: Columns) -> html.Section:
    unknown = days["worth"].count(None)
    return parts.chart(
        "worth",
        "What the stock is worth",
        figure(
            [line("worth", days["period"], days["worth"])],
            y_title="US dollars, at cost",
            y_format=MONEY,
            days=view.axis,
        ),
        parts.between(days["worth"], wording.money, "US dollars at the end of a day"),
        parts.table(
            f"Stock at the end of the {view.grain}",
            ["", "products", "out of stock", "pieces", "worth"],
            parts.period_rows(
                view,
                table,
                ("products", wording.count),
                ("out_of_stock", wording.count),
                ("pieces", wording.count),
                ("worth", wording.money),
            ),
        ),
        note=f"Not known on {unknown} of {len(days['worth'])} days, before which days are missing."
        if unknown
        else None,
    )


def _out_of_stock(view: DomainView, days: Columns, table: Columns) -> list[html.Section]:
    """Products out of stock by day; nothing where there never was one."""
    if not any(days["out_of_stock"]):
        return []
    most = max(range(len(days["period"])), key=lambda n: days["out_of_stock"][n])
    return [
        parts.chart(
            "out",
            "Products out of stock",
            figure(
                [bars("out of stock", days["period"], days["out_of_stock"], 1)],
                y_title="products",
                days=view.axis,
            ),
            f"At most {wording.count(days['out_of_stock'][most])}, on"
            f" {wording.day(days['period'][most])}.",
            parts.table(
                f"Products out of stock at the end of the {view.grain}",
                ["", "out of stock", "of products"],
                parts.period_rows(
                    view, table, ("out_of_stock", wording.count), ("products", wording.count)
                ),
            ),
        )
    ]


def _lasting(found: Columns, since: date, day: date) -> html.Section:
    numbers = [0] * len(LASTS)
    for left in found["days_left"]:
        if left is not None:
            numbers[next(n for n, (below, _) in enumerate(LASTS) if left < below)] += 1
    names, unordered = [name for _, name in LASTS], found["days_left"].count(None)
    months = " and ".join(dict.fromkeys((f"{since:%b %Y}", f"{day:%b %Y}")))
    counted = [*zip(names, numbers, strict=True), ("not ordered", unordered)]
    return parts.chart(
        "lasting",
        "Days of stock",
        across(names, numbers, list(map(wording.count, numbers)), "products", 2),
        f"{wording.counted(numbers[0], 'product lasts', 'products last')} {names[0]},"
        f" {wording.counted(sum(numbers[:3]), 'product', 'products')} below 28, if they are ordered"
        f" as in {months}.",
        parts.table(
            "Products by days of stock",
            ["lasts", "products"],
            [[name, wording.count(number)] for name, number in counted],
        ),
        note=f"{wording.counted(unordered, 'product was', 'products were')} not ordered then."
        if unordered
        else None,
        height=across_height(len(LASTS)),
    )


def _categories(found: Columns, day: date) -> html.Section:
    names, worth, whole = found["category"], found["worth"], sum(found["worth"])
    share = f", {wording.share(worth[0] / whole)} of the stock's worth" if whole else ""
    return parts.chart(
        "categories",
        "Categories",
        across(names, worth, wording.amounts(worth), "US dollars, at cost"),
        f"Most lies in {names[0]}: {wording.money(worth[0])} US dollars{share}.",
        parts.table(
            f"Stock by category on {wording.day(day)}",
            ["category", "products", "pieces", "worth"],
            [
                [name, wording.count(products), wording.count(pieces), wording.money(value)]
                for name, products, pieces, value in zip(*found.values(), strict=True)
            ],
        ),
        height=across_height(len(names)),
    )


def _lowest(found: Columns, day: date) -> html.Section:
    rows = [
        [
            name or f"product {product}",
            html.Td(category or wording.NONE, className="words"),
            wording.count(pieces),
            wording.decimal(a_day),
            wording.count(left),
        ]
        for product, name, category, pieces, a_day, left in zip(
            *(column[:PRODUCTS_LISTED] for column in found.values()), strict=True
        )
    ]
    return parts.card(
        "lowest",
        [
            html.H2("What runs out first", id="lowest-name"),
            html.P(
                f"The {len(rows)} products whose stock lasts shortest at the pace of their orders,"
                f" on {wording.day(day)}.",
                className="summary",
            ),
            parts.table(
                "Products by days of stock, the fewest first",
                ["product", "category", "on hand", "ordered a day", "days left"],
                rows,
                key="lowest-table",
            ),
        ],
    )
