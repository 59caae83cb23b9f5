"""Heat maps of cohorts as tables: cells have the numbers, and are coloured by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dash import html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import colour_of, ink_on

# The numbers of a smaller cohort are grey: they are chance.
FEW = 20


def heat_map(
    key: str,
    name: str,
    summary: str,
    caption: str,
    headings: tuple[str, str],
    columns: Mapping[Any, str],
    cohorts: Mapping[Any, tuple[str, int]],
    cells: Mapping[tuple[Any, Any], float | None],
    as_text: Callable[[Any], str],
    *,
    wide: bool = False,
) -> html.Section:
    """A card with a row per cohort, which has a name and a size. ``cells`` are by cohort and
    column; the darkest is the highest of a cohort that is not small. ``headings`` are those of the
    names and the sizes."""
    strongest = max(
        (
            value
            for (cohort, column), value in cells.items()
            if value is not None and column in columns and cohorts[cohort][1] >= FEW
        ),
        default=0,
    )
    rows: Sequence[Sequence[parts.Part]] = [
        [
            label,
            wording.count(size),
            *(_cell(cells.get((cohort, column)), size, strongest, as_text) for column in columns),
        ]
        for cohort, (label, size) in cohorts.items()
    ]
    small = any(size < FEW for _, size in cohorts.values())
    return parts.card(
        key,
        [
            html.H2(name, id=f"{key}-name"),
            html.P(summary, className="summary", id=f"{key}-summary"),
            html.Div(
                parts.table(caption, [*headings, *columns.values()], rows, key=f"{key}-table"),
                className="heat-map",
            ),
            *([html.P(f"Grey: fewer than {FEW} people.", className="note")] if small else []),
        ],
        wide=wide,
    )


def _cell(
    value: float | None, size: int, strongest: float, as_text: Callable[[Any], str]
) -> html.Td:
    if value is None:
        return html.Td(wording.NONE, className="void")
    if size < FEW:
        return html.Td(as_text(value), className="few")
    colour = colour_of(value / strongest if strongest else 0)
    return html.Td(as_text(value), style={"backgroundColor": colour, "color": ink_on(colour)})
