"""Foresight: whom to make an offer this week, and how far the models that say so can be trusted."""

from __future__ import annotations

from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import SHARE, figure, line, rate
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import foresight
from sprint_platform.dashboard.view import View
from sprint_platform.ml.names import CALIBRATION, IMPORTANCE, SCORES, SEGMENTS
from sprint_platform.ml.periods import weeks_missing

LABELS = {
    "left_in_14_days": "leave within 14 days",
    "bought_in_14_days": "buy within 14 days",
    "spend_in_30_days": "spend within 30 days",
}


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """The week's segments, calibration, every model's scores, and what the models look at."""
    title = view.title
    if not {SEGMENTS, SCORES, CALIBRATION, IMPORTANCE} <= title.marts:
        line_ = weeks_missing(foresight.weeks(con, title))
        why = f"{line_[:1].upper()}{line_[1:]}." if line_ else "Nobody has trained a model yet."
        # it returns once they are there
        command = (
            "dagster asset materialize -m sprint_platform.definitions"
            f" --select 'group:{title.name}_ml' --partition-range {title.first}...{title.last}"
        )
        return [parts.empty("No models yet", why, "" if line_ or not title.first else command)]
    found = foresight.scores(con, title)
    return [
        _segments(view, foresight.segments(con, title)),
        *(
            _calibration(label, foresight.calibration(con, title, label))
            for label in LABELS
            if label != "spend_in_30_days" and label in found["label"]
        ),
        _scores(view, found),
        _importance(foresight.importance(con, title)),
    ]


def _segments(view: View, found: Columns) -> html.Section:
    names = [
        "who", "item_type", "price_level", "players", "expected_buyers", "buyers_low",
        "buyers_high", "expected_revenue", "revenue_low", "revenue_high",
    ]  # fmt: skip
    rows = [
        [
            who,
            html.Td(item, className="words"),
            html.Td(level, className="words"),
            wording.count(players),
            f"{wording.count(round(buyers))} ({buyers_low:,.0f} to {buyers_high:,.0f})",
            f"{wording.money(revenue)} ({revenue_low:,.0f} to {revenue_high:,.0f})",
        ]
        for (
            who, item, level, players, buyers, buyers_low, buyers_high, revenue, revenue_low,
            revenue_high,
        ) in zip(*(found[name] for name in names), strict=True)
    ]  # fmt: skip
    headings = ["players", "item", "price", "how many", "buyers in 14 days"]
    headings.append(f"{view.title.currency} in 30 days")
    week = wording.day(found["year_week"][0]) if found["year_week"] else ""
    return parts.card(
        "segments",
        [
            html.H2("Whom to make an offer", id="segments-name"),
            html.P(
                f"Players of the week of {week}, those first that will bring most. In brackets:"
                " nine cases of ten, as far as it is chance.",
                className="summary",
            ),
            parts.table(f"Offers of {view.title.name}", headings, rows, key="segments-table"),
        ],
        wide=True,
    )


def _calibration(label: str, found: Columns) -> html.Section:
    said, came = found["predicted"], found["came"]
    key = label.split("_")[0]
    # as far as there are points: few buy, and the groups of an axis to 100 % would be one blot
    most = max([*said, *came], default=1) or 1
    off = sum(abs(s - c) for s, c in zip(said, came, strict=True)) / max(len(said), 1)
    rows = [
        [
            str(number),
            wording.count(players),
            wording.share(s),
            parts.rate_cell(wording.share(c), players),
        ]
        for number, players, s, c in zip(found["bin"], found["players"], said, came, strict=True)
    ]
    return parts.chart(
        f"calibration-{key}",
        f"Who will {LABELS[label]}: said and come",
        figure(
            [
                *rate("what came", said, came, found["players"], mode="lines+markers"),
                line("as said", [0, most], [0, most], 4),
            ],
            x_type="linear",
            x_title="chance that was said",
            y_title="share that came so",
            y_format=SHARE,
            xaxis={"tickformat": SHARE},
            margin={"r": 24},
            hovermode="closest",
        ),
        f"Of ten groups by chance, what came is {wording.share(off)} off on average.",
        parts.table("Chance and share", ["group", "players", "said", "came"], rows),
        note="The near test: weeks that no model has seen.",
        people=found["players"],
    )


def _scores(view: View, found: Columns) -> html.Section:
    names = [
        "label", "period", "model", "served", "roc_auc", "pr_auc", "lift", "ece", "gini",
        "decile_mape", "attainable",
    ]  # fmt: skip
    rows = [
        [
            f"{LABELS[label]}, {period} test",
            html.Td(f"{model} (served)" if served else model, className="words"),
            *(_figure(value) for value in values),
        ]
        for label, period, model, served, *values in zip(
            *(found[name] for name in names), strict=True
        )
    ]
    headings = [
        "who will", "model", "ROC-AUC", "PR-AUC", "lift", "ECE", "Gini", "decile error",
        "of the attainable",
    ]  # fmt: skip
    return parts.card(
        "scores",
        [
            html.H2("How good the models are", id="scores-name"),
            html.P(
                "On weeks that no model has seen, beside what is known without a model and, for a"
                " simulated title, beside the ceiling: the chances with which it was drawn.",
                className="summary",
            ),
            parts.table(f"Scores of {view.title.name}", headings, rows, key="scores-table"),
        ],
        wide=True,
    )


def _importance(found: Columns) -> html.Section:
    rows = [
        [
            LABELS[label],
            html.Td(feature, className="words"),
            _figure(lost),
        ]
        for label, feature, lost in zip(
            found["label"], found["feature"], found["auc_lost"], strict=True
        )
    ]
    return parts.card(
        "importance",
        [
            html.H2("What the models look at", id="importance-name"),
            html.P(
                "By how much ROC-AUC falls when a feature is shuffled among players.",
                className="summary",
            ),
            parts.table("Features", ["who will", "feature", "ROC-AUC lost"], rows),
        ],
        wide=True,
    )


def _figure(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3f}"
