"""Heat maps of cohorts as tables: cells have the numbers, and are coloured by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import shade


def heat_map(
    key: str,
    name: str,
    summary: str,
    caption: str,
    headings: tuple[str, str],
    columns: Mapping[Any, str],
    cohorts: Mapping[Any, tuple[str, int]],
    cells: Mapping[tuple[Any, Any], tuple[float | None, int]],
    as_text: Callable[[Any], str],
    *,
    wide: bool = False,
) -> html.Section:
    """A card with a row per cohort, which has a name and a size. ``cells`` are by cohort and
    column, each a value and of how many people it is: one of few is grey, the highest of the others
    stands out most. ``headings`` are those of the names and the sizes."""
    strongest = max(
        (
            value
            for value, people in cells.values()
            if value is not None and not wording.is_few(people)
        ),
        default=0,
    )
    rows: Sequence[Sequence[parts.Part]] = [
        [
            label,
            wording.count(size),
            *(
                _cell(*cells.get((cohort, column), (None, 0)), strongest, as_text)
                for column in columns
            ),
        ]
        for cohort, (label, size) in cohorts.items()
    ]
    few = parts.few_note([people for value, people in cells.values() if value is not None])
    return parts.card(
        key,
        [
            html.H2(name, id=f"{key}-name"),
            html.P(summary, className="summary", id=f"{key}-summary"),
            html.Div(
                parts.table(caption, [*headings, *columns.values()], rows, key=f"{key}-table"),
                className="heat-map",
            ),
            *([html.P(few, className="note")] if few else []),
        ],
        wide=wide,
    )


def _cell(
    value: float | None, people: int, strongest: float, as_text: Callable[[Any], str]
) -> html.Td:
    if value is None:
        return html.Td(wording.NONE, className="void")
    if wording.is_few(people):
        return parts.rate_cell(as_text(value), people)
    part = value / strongest if strongest else 0
    return html.Td(as_text(value), className="shade", style=shade(part))
