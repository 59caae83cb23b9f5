"""The parts of a page: headline numbers, charts with summaries and tables, and empty states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from dash import dcc, html

from sprint_platform.dashboard import wording
from sprint_platform.dashboard.charts import Figure, is_constant
from sprint_platform.dashboard.countries import country_name
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


def headline(
    key: str,
    name: str,
    value: str,
    change: Part = None,
    note: str = "",
    people: float | None = None,
    of: tuple[str, str] = ("player", "players"),
) -> html.Div:
    """One number, with its change against the period before. Where it is a rate of few ``people``
    it is grey, with their number and without a change."""
    few = False
    if value != wording.NONE and wording.is_few(people):
        few, change = True, None
        number = f"of {wording.counted(people, *of)}"
        note = f"{note}; {number}" if note else number
    items: list[Part] = [
        html.Dt(name),
        html.Dd(value, className="value", id=f"headline-{key}"),
    ]
    if change is not None:
        items.append(html.Dd(change, className="change"))
    if note:
        items.append(html.Dd(note, className="note"))
    return html.Div(items, className="headline few" if few else "headline")


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
    tall: bool = False,
    people: Sequence[float | None] = (),
    always: bool = False,
) -> html.Section:
    """A figure with its name, a summary in a sentence, and a table of its numbers. ``height`` is in
    pixels, or a CSS length; rates are of so many ``people``. Of a figure of one and the same value
    the sentence alone (see ``arranged``), unless ``always`` is set."""
    if is_constant(figure) and not always:
        return _constant(key, name, summary, note, people)
    if few := few_note(people):
        note = few if note is None else [f"{few} ", *([note] if isinstance(note, str) else note)]
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
        scrolls, download = table.children
        opens = html.Summary("The numbers as a table", id=f"{key}-open")
        parts.append(html.Div([html.Details([opens, scrolls]), download], className="numbers"))
    return card(key, parts, wide=wide, tall=tall)


def _constant(
    key: str, name: str, summary: str, note: Part, people: Sequence[float | None]
) -> html.Section:
    """A chart of one and the same value as a sentence."""
    known = [number for number in people if number is not None]
    few = bool(known) and wording.is_few(min(known))
    if few:
        most = wording.counted(max(known), "person", "people")
        summary += f" Of {most}{' at most' if min(known) < max(known) else ''}."
    if isinstance(note, str):
        summary += f" {note}"
    return _sentence(key, name, summary, few=few)


def _sentence(key: str, name: str, text: str, *, few: bool = False) -> html.Section:
    named: list[Part] = [html.Strong(f"{name}: "), text]
    return html.Section(named, id=key, className="sentence few" if few else "sentence")


def arranged(shown: Sequence[Part]) -> list[Part]:
    """The parts of a page, with the sentences in place of charts in one card at its end, and no
    card alone in a row of two."""
    sentences = [part for part in shown if "sentence" in _classes(part)]
    rest = [part for part in shown if part not in sentences]
    if sentences:
        heading = html.H2("Without a chart", id="sentences-name")
        rest.append(card("sentences", [heading, *sentences], wide=True))
    halves: list[Part] = []
    for part in [*rest, None]:
        if "card" in _classes(part) and "wide" not in _classes(part):
            halves.append(part)
            continue
        # a tall one lies beside two others
        if (len(halves) + sum("tall" in _classes(half) for half in halves)) % 2:
            halves[-1].className += " wide"
        halves = []
    return rest


def _classes(part: Part) -> list[str]:
    return str(getattr(part, "className", "")).split()


def card(
    key: str, parts: Sequence[Part], *, wide: bool = False, tall: bool = False
) -> html.Section:
    """A section of a page; its heading has the id ``<key>-name``. Two lie in a row, beside a
    ``tall`` one two below each other; a ``wide`` one has a row of its own."""
    return html.Section(
        list(parts),
        id=key,
        className=" ".join(["card", *["wide"] * wide, *["tall"] * tall]),
        **aria(labelledby=f"{key}-name"),
    )


def table(
    caption: str, headings: Sequence[str], rows: Sequence[Sequence[Part]], key: str = ""
) -> html.Div:
    """A table whose first column names its rows; the others hold numbers. Where it is too wide it
    scrolls, also by keyboard. Below it is a button for its numbers as a file (assets/csv.js)."""
    body = [
        html.Tr([html.Th(row[0], scope="row"), *(_cell(value) for value in row[1:])])
        for row in rows
    ]
    identity: dict[str, Any] = {"id": key} if key else {}
    scrolls = html.Div(
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
    download = html.Button(
        ["CSV", html.Span(f" of the numbers: {caption}", className="unseen")],
        type="button",
        className="csv",
    )
    return html.Div([scrolls, download], className="numbers")


def _column(place: int, heading: str, rows: Sequence[Sequence[Part]]) -> html.Th | html.Td:
    """A column's heading, aligned as its words or numbers."""
    first = rows[0][place] if rows else None
    if isinstance(first, html.Button):
        return html.Td(className="action")
    words = isinstance(first, html.Td) and "words" in (getattr(first, "className", "") or "")
    # of a table by day, week or month
    name = heading or html.Span("period", className="unseen")
    return html.Th(name, scope="col", className="words" if words else None)


def rate_cell(text: str, people: float | None) -> Part:
    """A table's cell with a rate of so many people: grey where they are few, with their number."""
    if text != wording.NONE and wording.is_few(people):
        return html.Td([text, html.Small(f" of {wording.count(people)}")], className="few")
    return text


def few_note(people: Sequence[float | None]) -> str | None:
    """The note on rates of so many people; None where they are never few."""
    if not any(wording.is_few(number) for number in people):
        return None
    return f"Grey, with their number: of fewer than {wording.FEW_PEOPLE} people."


def _cell(value: Part) -> html.Td:
    if isinstance(value, html.Button):
        return html.Td(value, className="action")
    return value if isinstance(value, html.Td) else html.Td(value)


def empty(name: str, why: str, command: str = "") -> html.Section:
    """The section in place of a page without data: why, and the command to run."""
    parts: list[Part] = [html.H2(name, id="empty-name"), html.P(why)]
    if command:
        parts += [html.P("Run this:"), html.Pre(html.Code(command))]
    return card("empty", parts, wide=True)


def missing(key: str, name: str, marts: Sequence[str], view: View) -> html.Section:
    """The section in place of a chart whose mart is not published, with the command for its days:
    those of any other run would leave the chart without rows."""
    title, days = view.title.name, view.axis
    names = wording.joined([f"{title}_mart.{mart}" for mart in marts])
    command = f"sprint run --title {title} --from {days.first} --to {days.last} --reuse"
    return card(
        key,
        [
            html.H2(name, id=f"{key}-name"),
            html.P(f"Not published yet: {names}. A run builds and publishes it for its own days:"),
            html.Pre(html.Code(command)),
        ],
    )


def nothing(key: str, name: str, why: str, *, wide: bool = False) -> html.Section:
    """The sentence in place of a chart without rows for these days and this country; ``wide``, the
    section in place of the page's only or first one."""
    if wide:
        return card(
            key, [html.H2(name, id=f"{key}-name"), html.P(why, className="none")], wide=True
        )
    return _sentence(key, name, why)


def no_days(view: View) -> html.Section:
    """The section in place of a page's charts where nobody played or bought on its days."""
    title = view.title
    where = f" ({country_name(view.country)})" if view.country else ""
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
# percentage points, a note ({currency} is the title's), and of a rate the column that says of how
# many it is.
Headline = tuple[str, str, Callable[[Any], str], bool, str, str]
# What such a column counts, one and several.
COUNTED = {
    "players": ("player", "players"),
    "payers": ("payer", "payers"),
    "orders": ("order", "orders"),
    "sessions": ("visit", "visits"),
    "checkouts": ("checkout", "checkouts"),
}
# The note on a figure that is an average of days, where there are several.
ON_AVERAGE = "on average"


def headline_section(
    view: View, headlines: Sequence[Headline], now: Mapping[str, Any], before: Mapping[str, Any]
) -> html.Section:
    """The headline numbers of a page, with their change from ``before``, which may be empty."""
    numbers = headline_numbers(
        headlines,
        now,
        before,
        lambda note: (
            ""
            if view.days == 1 and note == ON_AVERAGE
            else note.format(currency=view.title.currency)
        ),
    )
    before_these = "day" if view.days == 1 else f"{view.days} days"
    compared = (
        f"Changes are against the {before_these} before, {wording.span(*view.before)}."
        if view.before
        else "The day before is not published: there is nothing to compare with."
        if view.days == 1
        else "There are not as many days before these, without a gap, to compare them with."
    )
    if now["days"] < view.days:
        have = "has" if now["days"] == 1 else "have"
        compared += f" Averages are of the {now['days']} of {view.days} days that {have} numbers."
    if view.title.coverage and view.title.coverage.tail and view.last == view.title.last:
        compared += " Later days are not built yet."
    return headline_card(numbers, compared)


def headline_numbers(
    headlines: Sequence[Headline],
    now: Mapping[str, Any],
    before: Mapping[str, Any],
    as_note: Callable[[str], str] = str,
) -> list[html.Div]:
    """The headlines' numbers, with their change from ``before``; ``as_note`` fills their notes."""
    return [
        headline(
            column.replace("_", "-"),
            name,
            as_text(now[column]),
            None
            if wording.is_few(before.get(people))
            else change(now[column], before.get(column), points=points),
            as_note(note),
            now[people] if people else None,
            COUNTED.get(people, ("", "")),
        )
        for name, column, as_text, points, note, people in headlines
    ]


def missing_days(view: View) -> list[Part]:
    """The days that are missing between the title's days, and the command that builds them; empty
    where none is. Those after its last day are not missing: its history ends there."""
    coverage = view.title.coverage
    if coverage is None or not coverage.gaps:
        return []
    what = "missing, and what looks back over them is not known"
    line = unbuilt(coverage.gaps, what, coverage.gap_command, "warning")
    return [html.Div(line, id="missing-days", className="wide")]


def unbuilt(days: Sequence[date], what: str, command: str, class_name: str) -> html.P:
    """How many days are ``what``, where they lie, and the command that builds them."""
    span = wording.span(days[0], days[-1])
    number = wording.counted(len(days), "day is", "days are")
    whole = len(days) == (days[-1] - days[0]).days + 1
    where = f"{span}: {number} {what}. " if whole else f"{number} {what} ({span}). "
    builds = " builds it." if len(days) == 1 else " builds them."
    return html.P([where, html.Code(command), builds], className=class_name)


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
    view: Dates, table: Columns, *columns: tuple[str, Callable[[Any], str]], people: str = ""
) -> list[list[Part]]:
    """A table's rows: the period, and each column as its function formats it. Where the columns are
    rates, ``people`` is the column that says of how many people."""
    return [
        [
            wording.period(period, view.grain),
            *(
                rate_cell(as_text(table[column][n]), table[people][n] if people else None)
                for column, as_text in columns
            ),
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
