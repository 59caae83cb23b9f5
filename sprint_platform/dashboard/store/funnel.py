"""The web funnel: how many visits become orders, and where the others end."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import domains, parts, wording
from sprint_platform.dashboard.charts import MUTED, SHARE, across_height, figure, line, steps
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import store
from sprint_platform.dashboard.view import DomainView

STEPS = (
    ("sessions", "visits", ""),
    ("product_views", "looked at a product", "view_rate"),
    ("carts", "put one into the cart", "cart_rate"),
    ("checkouts", "went to the checkout", "checkout_rate"),
    ("purchases", "ordered", "purchase_rate"),
)
# The steps side by side below a chart: longer names would lie askew on a phone, and take its room.
BRIEF = ("visit", "product", "cart", "checkout", "order")
HEADLINES: tuple[parts.Headline, ...] = (
    ("Visits", "sessions", wording.count, False, "web sessions", ""),
    ("Orders", "purchases", wording.count, False, "visits that ended with one", ""),
    ("Conversion", "conversion_rate", wording.share, True, "of the visits order", "sessions"),
    ("Checkout", "purchase_rate", wording.share, True, "are finished", "checkouts"),
)


def page(con: duckdb.DuckDBPyConnection, view: DomainView) -> list[Any]:
    """The steps of all visits, conversion by day, and the kinds of devices."""
    if absent := domains.missing(view, "steps", "Funnel", "conversion_funnel"):
        return [absent]
    now = store.funnel(con, view.domain, view.first, view.last)
    if not now["sessions"]:
        why = f"Nobody visited the store on {wording.span(view.first, view.last)}."
        return [*domains.missing_days(view), domains.no_days(view, why)]
    before = store.funnel(con, view.domain, *view.before) if view.before else {}
    days = store.funnel_by_period(con, view.domain, view.first, view.last, "day")
    table = store.funnel_by_period(con, view.domain, view.first, view.last, view.grain)
    return [
        *domains.missing_days(view),
        domains.headlines(view, HEADLINES, now, before),
        _steps(now),
        _conversion(view, days, table),
        _visits(view, days, table),
        _devices(store.funnel_by_device(con, view.domain, view.first, view.last)),
    ]


def _steps(now: dict[str, Any]) -> html.Section:
    names = [name for _, name, _ in STEPS]
    counts = [now[column] for column, _, _ in STEPS]
    shares = [count / counts[0] for count in counts]
    # of those at the step before; the first has none before it
    went_on = [now[rate] if rate else None for _, _, rate in STEPS]
    worst = min((n for n in range(1, len(STEPS))), key=lambda n: went_on[n] or 0)
    return parts.chart(
        "steps",
        "From visit to order",
        steps(names, counts, shares, "visits"),
        f"{wording.share(shares[-1])} of {wording.counted(counts[0], 'visit', 'visits')} end with"
        f" an order. Most are lost where they would have {names[worst]}:"
        f" {wording.share(1 - (went_on[worst] or 0))} of those who had come so far.",
        parts.table(
            "Visits at each step",
            ["step", "visits", "of all", "of the step before"],
            [
                [name, wording.count(count), wording.share(share), wording.share(on)]
                for name, count, share, on in zip(names, counts, shares, went_on, strict=True)
            ],
        ),
        note="A visit that came to a step counts at the steps before it, too.",
        height=across_height(len(STEPS)),
        wide=True,
    )


def _conversion(view: DomainView, days: Columns, table: Columns) -> html.Section:
    column = "conversion_rate"
    return parts.chart(
        "conversion",
        "Conversion",
        figure(
            [line("conversion", days["period"], days[column])],
            y_title="of the visits",
            y_format=SHARE,
            days=view.axis,
        ),
        parts.between(days[column], wording.share, "of a day's visits end with an order"),
        parts.table(
            f"Conversion by {view.grain}",
            ["", "visits", "orders", "conversion"],
            parts.period_rows(
                view,
                table,
                ("sessions", wording.count),
                ("purchases", wording.count),
                (column, wording.share),
            ),
        ),
    )


def _visits(view: DomainView, days: Columns, table: Columns) -> html.Section:
    return parts.chart(
        "visits",
        "Visits",
        figure(
            [
                line("visits", days["period"], days["sessions"]),
                line("with a cart", days["period"], days["carts"], 1),
            ],
            y_title="visits a day",
            days=view.axis,
        ),
        parts.between(days["sessions"], wording.count, "visits a day"),
        parts.table(
            f"Visits by {view.grain}",
            ["", "visits", "looked at a product", "with a cart", "at the checkout", "ordered"],
            parts.period_rows(view, table, *((column, wording.count) for column, _, _ in STEPS)),
        ),
    )


def _devices(found: Columns) -> html.Section:
    devices, rates = found["device"], found["conversion_rate"]
    best = max(range(len(devices)), key=lambda n: rates[n] or 0)
    most = found["sessions"][0] / sum(found["sessions"])
    return parts.chart(
        "devices",
        "Devices",
        figure(
            [
                line(
                    device,
                    BRIEF,
                    [
                        found[column][n] / found["sessions"][n] if found["sessions"][n] else None
                        for column, _, _ in STEPS
                    ],
                    n,
                    mode="lines+markers",
                )
                for n, device in enumerate(devices)
            ],
            x_type="category",
            xaxis={"tickangle": 0, "tickfont": {"size": 11, "color": MUTED}},
            y_title="of the device's visits",
            y_format=SHARE,
            showlegend=True,
            hovermode="closest",
        ),
        f"Most visits come from {devices[0]}, {wording.share(most)} of all; best converts"
        f" {devices[best]}: {wording.share(rates[best])}.",
        parts.table(
            "Visits by device",
            ["device", *(name for _, name, _ in STEPS), "conversion"],
            [
                [
                    device,
                    *(wording.count(found[column][n]) for column, _, _ in STEPS),
                    wording.share(rates[n]),
                ]
                for n, device in enumerate(devices)
            ],
        ),
        wide=True,
    )
