"""Products: what sells, what it leaves, and what customers say of it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import domains, parts, wording
from sprint_platform.dashboard.charts import across, across_height
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import store
from sprint_platform.dashboard.view import DomainView

PRODUCTS_LISTED = 15
# The average of fewer reviews is chance.
REVIEWS_THAT_COUNT = 3


def page(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[Any]:
    """Headline numbers, categories, reviews, the products that sell best, and the worst rated."""
    shown: list[Any] = domains.missing_days(view)
    best: list[html.Section] = []
    if absent := domains.missing(view, "products", "Products", "product_performance"):
        shown.append(absent)
    else:
        found = store.products(con, view.domain, view.first, view.last)
        if found["product_id"]:
            shown += [_headlines(view, found), _categories(found)]
            best = [_best(found)]
        else:
            why = f"Nothing was ordered in the months of {wording.span(view.first, view.last)}."
            shown.append(domains.no_days(view, why))
    if absent := domains.missing(view, "reviews", "Reviews", "review_summary"):
        return [*shown, absent, *best]
    return [*shown, _reviews(con, view), *best, *_worst(con, view)]


def _headlines(view: DomainView, found: Columns) -> html.Section:
    pieces, revenue = sum(found["pieces"]), sum(found["revenue"])
    known = [margin for margin in found["margin"] if margin is not None]
    unknown = len(found["margin"]) - len(known)
    first, last = f"{view.first:%b %Y}", f"{view.last:%b %Y}"
    return parts.headline_card(
        [
            parts.headline("products", "Products ordered", wording.count(len(found["product_id"]))),
            parts.headline("pieces", "Pieces", wording.count(pieces)),
            parts.headline(
                "margin",
                "Margin",
                wording.share(sum(known) / revenue if revenue and not unknown else None),
                note=f"not known of {wording.counted(unknown, 'product', 'products')}"
                if unknown
                else "of the revenue",
            ),
            parts.headline(
                "returned",
                "Returned",
                wording.share(sum(found["returned_pieces"]) / pieces),
                note="of the pieces",
            ),
        ],
        "Products are counted by month: these are the numbers of"
        f" {first if first == last else f'{first} to {last}'}, whole.",
    )


def _categories(found: Columns) -> html.Section:
    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0])
    for category, pieces, returned, revenue, margin in zip(
        *(found[name] for name in ("category", "pieces", "returned_pieces", "revenue", "margin")),
        strict=True,
    ):
        for n, value in enumerate((pieces, returned, revenue, margin or 0)):
            sums[category][n] += value
    ranked = sorted(sums.items(), key=lambda pair: (-pair[1][2], pair[0]))
    names, revenues = [name for name, _ in ranked], [values[2] for _, values in ranked]
    whole = sum(revenues)
    share = f", {wording.share(revenues[0] / whole)} of the revenue" if whole else ""
    return parts.chart(
        "categories",
        "Categories",
        across(names, revenues, wording.amounts(revenues), "revenue, US dollars"),
        f"{names[0]} brings most: {wording.money(revenues[0])} US dollars{share}.",
        parts.table(
            "Products by category",
            ["category", "pieces", "returned", "revenue", "margin"],
            [
                [
                    name,
                    wording.count(pieces),
                    wording.share(returned / pieces if pieces else None),
                    wording.money(revenue),
                    wording.money(margin),
                ]
                for name, (pieces, returned, revenue, margin) in ranked
            ],
        ),
        height=across_height(len(names)),
    )


def _best(found: Columns) -> html.Section:
    columns = (
        "product_id", "product_name", "category", "pieces", "returned_pieces", "revenue", "margin",
        "reviews", "average_rating",
    )  # fmt: skip
    rows = [
        [
            name or f"product {product}",
            html.Td(category, className="words"),
            wording.count(pieces),
            wording.share(returned / pieces),
            wording.money(revenue),
            wording.money(margin),
            wording.count(reviews),
            _stars(stars),
        ]
        for product, name, category, pieces, returned, revenue, margin, reviews, stars in zip(
            *(found[column][:PRODUCTS_LISTED] for column in columns), strict=True
        )
    ]
    headings = [
        "product", "category", "pieces", "returned", "revenue", "margin", "reviews", "stars",
    ]  # fmt: skip
    shown = sum(found["revenue"][:PRODUCTS_LISTED])
    whole = sum(found["revenue"])
    share = f": {wording.share(shown / whole)} of the revenue" if whole else ""
    return parts.card(
        "best",
        [
            html.H2("What sells best", id="best-name"),
            html.P(
                f"The {len(rows)} of {wording.count(len(found['product_id']))} products that bring"
                f" most{share}.",
                className="summary",
            ),
            parts.table(
                "Products by revenue, in US dollars",
                headings,
                rows,
                key="best-table",
            ),
        ],
        wide=True,
    )


def _stars(value: float | None) -> str:
    return wording.NONE if value is None else f"{value:.1f}"


def _reviews(con: duckdb.DuckDBPyConnection, view: DomainView) -> html.Section:
    key, name = "reviews", "Reviews"
    found = store.ratings(con, view.domain)
    reviews = found["reviews"]
    if not reviews:
        return parts.nothing(key, name, "Nobody has reviewed a product yet.")
    names = [f"{stars} ★" for stars in range(5, 0, -1)]
    numbers = [found[f"stars_{stars}"] for stars in range(5, 0, -1)]
    return parts.chart(
        key,
        name,
        across(
            names,
            numbers,
            [f"{wording.count(number)} ({wording.share(number / reviews)})" for number in numbers],
            "reviews",
            2,
        ),
        f"{wording.decimal(found['average'])} stars on average of"
        f" {wording.counted(reviews, 'review', 'reviews')};"
        f" {wording.share(found['verified'] / reviews)} are of customers whose order is known.",
        parts.table(
            "Reviews by stars",
            ["stars", "reviews", "share"],
            [
                [star, wording.count(number), wording.share(number / reviews)]
                for star, number in zip(names, numbers, strict=True)
            ],
        ),
        note="Of all time, whatever days are chosen.",
        height=across_height(len(names)),
    )


def _worst(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[html.Section]:
    found = store.worst_rated(con, view.domain, REVIEWS_THAT_COUNT)
    if not found["product_id"]:
        return []
    rows = [
        [
            name or f"product {product}",
            html.Td(category or wording.NONE, className="words"),
            wording.count(number),
            _stars(stars),
            wording.share(one_star),
        ]
        for product, name, category, number, stars, one_star in zip(*found.values(), strict=True)
    ]
    return [
        parts.card(
            "worst",
            [
                html.H2("What is rated worst", id="worst-name"),
                html.P(
                    f"Of the products with {REVIEWS_THAT_COUNT} reviews or more, of all time.",
                    className="summary",
                ),
                parts.table(
                    "Products by stars, the fewest first",
                    ["product", "category", "reviews", "stars", "one star"],
                    rows,
                    key="worst-table",
                ),
            ],
            wide=True,
        )
    ]
