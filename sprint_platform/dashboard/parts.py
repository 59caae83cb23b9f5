"""The parts of a page: headline numbers, charts with summaries and tables, and empty states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dash import dcc, html

from sprint_platform.dashboard import wording
from sprint_platform.dashboard.charts import Figure
from sprint_platform.dashboard.published import Columns
from sprint_platform.dashboard.view import Dates, View

# Charts have no zoom and no export, and a finger on one scrolls the page.
CONFIG: Any = {
    "displayModeBar": False,
    "displaylogo": False,
    "showTips": False,
    "scrollZoom": False,
}

Part = Any


def aria(role: str = "", **attributes: str) -> dict[str, Any]:
    """Properties for screen readers: a role, and ``aria-`` attributes by name."""
    named: dict[str, Any] = {f"aria-{name}": value for name, value in attributes.items()}
    return {"role": role, **named} if role else named


def headline(key: str, name: str, value: str, change: Part = None, note: str = "") -> html.Div:
    """One number, with its change against the period before."""
    items: list[Part] = [
        html.Dt(name),
        html.Dd(value, className="value", id=f"headline-{key}"),
    ]
    if change is not None:
        items.append(html.Dd(change, className="change"))
    if note:
        items.append(html.Dd(note, className="note"))
    return html.Div(items, className="headline")


def change(now: float | None, before: float | None, *, points: bool = False) -> Part:
    """The change of a number: in percentage points for a share (``points``), else in per cent. None
    where there is nothing to compare with."""
    if now is None or before is None or (before == 0 and not points):
        return None
    moved = (now - before) * 100 if points else (now / before - 1) * 100
    unit = "points" if points else "%"
    if abs(moved) < 0.05:
        return html.Span("unchanged", className="same")
    up = moved > 0
    return html.Span(
        [
            html.Span("▲" if up else "▼", **aria(hidden="true")),
            html.Span("up " if up else "down ", className="unseen"),
            f" {abs(moved):,.1f} {unit}",
        ],
        className="up" if up else "down",
    )


def chart(
    key: str,
    name: str,
    figure: Figure,
    summary: str,
    table: Part = None,
    *,
    note: Part = None,
    height: int | str = 260,
    wide: bool = False,
) -> html.Section:
    """A figure with its name, a summary in a sentence, and a table of its numbers. ``height`` is in
    pixels, or a CSS length."""
    parts: list[Part] = [
        html.H2(name, id=f"{key}-name"),
        html.P(summary, className="summary", id=f"{key}-summary"),
        html.Div(
            dcc.Graph(
                id=f"{key}-figure",
                figure=figure,
                config=CONFIG,
                responsive=True,
                style={"height": height if isinstance(height, str) else f"{height}px"},
            ),
            role="img",
            **aria(label=f"Chart: {name}. {summary}"),
        ),
    ]
    if note is not None:
        parts.append(html.P(note, className="note"))
    if table is not None:
        parts.append(
            html.Details(
                [html.Summary("The numbers as a table", id=f"{key}-open"), table],
                className="numbers",
            )
        )
    return card(key, parts, wide=wide)


def card(key: str, parts: Sequence[Part], *, wide: bool = False) -> html.Section:
    """A section of a page; its heading has the id ``<key>-name``."""
    return html.Section(
        list(parts),
        id=key,
        className="card wide" if wide else "card",
        **aria(labelledby=f"{key}-name"),
    )


def table(
    caption: str, headings: Sequence[str], rows: Sequence[Sequence[Part]], key: str = ""
) -> html.Div:
    """A table whose first column names its rows; the others hold numbers. Where it is too wide it
    scrolls, also by keyboard."""
    body = [
        html.Tr([html.Th(row[0], scope="row"), *(_cell(value) for value in row[1:])])
        for row in rows
    ]
    identity: dict[str, Any] = {"id": key} if key else {}
    return html.Div(
        html.Table(
            [
                html.Caption(caption),
                html.Thead(
                    html.Tr([_column(n, heading, rows) for n, heading in enumerate(headings)])
                ),
                html.Tbody(body),
            ],
            **identity,
        ),
        className="scrolls",
        tabIndex=0,
        role="region",
        **aria(label=caption),
    )


def _column(place: int, heading: str, rows: Sequence[Sequence[Part]]) -> html.Th:
    """A column's heading, aligned as its words or numbers."""
    first = rows[0][place] if rows else None
    words = isinstance(first, html.Td) and "words" in (getattr(first, "className", "") or "")
    return html.Th(heading, scope="col", className="words" if words else "numbers")


def _cell(value: Part) -> html.Td:
    return value if isinstance(value, html.Td) else html.Td(value)


def empty(name: str, why: str, command: str = "") -> html.Section:
    """The section in place of a page without data: why, and the command to run."""
    parts: list[Part] = [html.H2(name, id="empty-name"), html.P(why)]
    if command:
        parts += [html.P("To make it, run"), html.Pre(html.Code(command))]
    return card("empty", parts, wide=True)


def missing(key: str, name: str, marts: Sequence[str], title: str) -> html.Section:
    """The section in place of a chart whose mart is not published."""
    names = wording.joined([f"{title}_mart.{mart}" for mart in marts])
    return card(
        key,
        [
            html.H2(name, id=f"{key}-name"),
            html.P(f"Not published yet: {names}. A run of any day builds and publishes it:"),
            html.Pre(html.Code(f"sprint run --title {title}")),
        ],
    )


def nothing(key: str, name: str, why: str) -> html.Section:
    """The section in place of a chart without rows for these days and this country."""
    return card(key, [html.H2(name, id=f"{key}-name"), html.P(why, className="none")])


def no_days(view: View) -> html.Section:
    """The section in place of a page's charts where nobody played or bought on its days."""
    title = view.title
    where = f" in {view.country}" if view.country else ""
    parts: list[Part] = [
        html.H2("No days to show", id="empty-name"),
        html.P(
            f"Nobody played or bought in {title.name}{where} on"
            f" {wording.span(view.first, view.last)}."
        ),
    ]
    if title.first is not None and title.last is not None:
        parts.append(
            html.P(
                f"What is published goes from {wording.day(title.first)} to"
                f" {wording.day(title.last)}. More days are made with"
            )
        )
    command = f"sprint run --title {title.name} --from {view.first} --to {view.last}"
    return card("empty", [*parts, html.Pre(html.Code(command))], wide=True)


# A headline's name, its column, the function that formats it, whether a change of it is in
# percentage points, and a note.
Headline = tuple[str, str, Callable[[Any], str], bool, str]


def headline_section(
    view: View, headlines: Sequence[Headline], now: Mapping[str, Any], before: Mapping[str, Any]
) -> html.Section:
    """The headline numbers of a page, with their change from ``before``, which may be empty."""
    numbers = [
        headline(
            column.replace("_", "-"),
            name,
            as_text(now[column]),
            change(now[column], before.get(column), points=points),
            note,
        )
        for name, column, as_text, points, note in headlines
    ]
    before_these = "day" if view.days == 1 else f"{view.days} days"
    compared = (
        f"Changes are against the {before_these} before, {wording.span(*view.before)}."
        if view.before
        else "There are not as many days before these, without a gap, to compare them with."
    )
    if now["days"] < view.days:
        compared += f" Averages are of the {now['days']} of {view.days} days that have numbers."
    return headline_card(numbers, compared)


def missing_days(view: View) -> list[Part]:
    """The number of missing days of the title and the command that builds them; empty where none
    is missing."""
    coverage = view.title.coverage
    if coverage is None:
        return []
    lines: list[Part] = []
    for days, class_name, what in (
        (coverage.gaps, "warning", "missing, and what looks back over them is not known"),
        (coverage.tail, "note", "not built yet"),
    ):
        if days:
            span = wording.span(days[0], days[-1])
            number = "1 day is" if len(days) == 1 else f"{wording.count(len(days))} days are"
            whole = len(days) == (days[-1] - days[0]).days + 1
            where = f"{span}: {number} {what}. " if whole else f"{number} {what} ({span}). "
            builds = " builds it." if len(days) == 1 else " builds them."
            lines.append(html.P([where, html.Code(coverage.command), builds], className=class_name))
    return [html.Div(lines, id="missing-days", className="wide")] if lines else []


def headline_card(numbers: Sequence[html.Div], note: str) -> html.Section:
    """Headline numbers side by side, and a note on all of them."""
    return html.Section(
        [
            html.H2("In short", className="unseen", id="headlines-name"),
            html.Dl(list(numbers), className="headlines"),
            html.P(note, className="note", id="headlines-note"),
        ],
        id="headlines",
        className="wide",
        **aria(labelledby="headlines-name"),
    )


def period_rows(
    view: Dates, table: Columns, *columns: tuple[str, Callable[[Any], str]]
) -> list[list[str]]:
    """A table's rows: the period, and each column as its function formats it."""
    return [
        [
            wording.period(period, view.grain),
            *(as_text(table[column][n]) for column, as_text in columns),
        ]
        for n, period in enumerate(table["period"])
    ]


def between(values: Sequence[float | None], as_text: Callable[[Any], str], what: str) -> str:
    """A sentence with the smallest and the largest of the values that are known."""
    known = [value for value in values if value is not None]
    if not known:
        return "There is none on these days."
    low, high = as_text(min(known)), as_text(max(known))
    return f"{low} {what}." if low == high else f"Between {low} and {high} {what}."
