"""Realism: the title's figures beside those that are published of real games."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import duckdb
from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.queries import realism
from sprint_platform.dashboard.view import View
from sprint_platform.operations.realism import (
    DAYS_MEASURED,
    Verdict,
    band_as_text,
    source_as_text,
    value_as_text,
    verdicts_by_row,
)

MARKS = {Verdict.GREEN: ("✓", "passed"), Verdict.RED: ("✗", "failed")}


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """How many rows of the last report are as in real games, and all of them with their sources."""
    found, command = realism.report(con, view.title), f"sprint realism --title {view.title.name}"
    if not found:
        why = f"Nobody has measured {view.title.name} yet."
        return [parts.empty("Not measured", why, command)]
    return [_headlines(found), _figures(view, found, command)]


def _headlines(found: Columns) -> html.Section:
    rows = verdicts_by_row(found["number"], [Verdict(verdict) for verdict in found["verdict"]])
    names = {
        Verdict.GREEN: "As in real games",
        Verdict.RED: "Outside of the band",
        Verdict.NOT_MEASURED: "Not measured",
        Verdict.NOT_APPLICABLE: "Not applicable",
    }
    numbers = [
        parts.headline(
            verdict.replace(" ", "-"),
            name,
            wording.count(rows.count(verdict)),
            note=f"of {len(rows)} rows",
        )
        for verdict, name in names.items()
    ]
    return parts.headline_card(numbers, "A row of two figures is as the worse one is.")


def _figures(view: View, found: Columns, command: str) -> html.Section:
    first, last, missing = (found[name][0] for name in ("first_day", "last_day", "missing_days"))
    text = f"Measured on {wording.span(first, last)}"
    if missing:
        text += f", of which {wording.counted(missing, 'day is', 'days are')} missing"
    lines: list[Any] = [
        html.H2("Figures", id="realism-name"),
        html.P(f"{text}, beside what is published of real games.", className="summary"),
    ]
    newest = view.title.last
    if newest is not None and last < newest and newest < first + timedelta(days=DAYS_MEASURED):
        days = f"Later days are published, up to {wording.day(newest)}. "
        lines.append(html.P([days, html.Code(command), " measures again."], className="note"))
    columns = [
        "number", "name", "value", "unit", "low", "high", "own", "within", "verdict", "why",
        "source", "confidence",
    ]  # fmt: skip
    rows = [
        [
            f"{number}. {name}",
            value_as_text(value, unit),
            html.Td(band_as_text(low, high, unit, own, within), className="words"),
            _verdict(Verdict(verdict)),
            html.Td(why, className="words sentence"),
            html.Td(source_as_text(source, confidence), className="words sentence"),
        ]
        for (
            number, name, value, unit, low, high, own, within, verdict, why, source, confidence,
        ) in zip(*(found[column] for column in columns), strict=True)
    ]  # fmt: skip
    headings = ["figure", "value", "real games", "verdict", "why", "source"]
    caption = f"Figures of {view.title.name} beside those of real games"
    lines.append(parts.table(caption, headings, rows, key="realism-table"))
    return parts.card("realism", lines, wide=True)


def _verdict(verdict: Verdict) -> html.Td:
    mark, name = MARKS.get(verdict, ("", ""))
    return html.Td(f"{mark} {verdict}".strip(), className=f"words {name}".strip())
