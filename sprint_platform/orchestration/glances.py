"""What a person sees of a table at a glance: a picture and some rows, as a materialization's
metadata."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import dagster as dg
import duckdb

from sprint_platform.operations.pictures import Picture

ROWS = 5
# More letters do not fit in a row on an asset's page.
LETTERS = 72
# The first digits of an id distinguish five rows.
ID_DIGITS = 8


@dataclass(frozen=True)
class Seen:
    """What was read: the number of rows, some of them, and the picture's points. Nothing is drawn
    yet."""

    count: int
    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple, ...]
    points: tuple[tuple, ...]


@dataclass(frozen=True)
class Glance:
    """What is shown: a relation that is cut in periods (``day``, ``week``, ``month``) by a column
    with their first days; the picture, where there is one; and whether its rows are few enough to
    be sorted before the first are shown."""

    relation: str
    column: str
    period: str
    picture: Picture | None
    in_order: bool = True

    def read(self, con: duckdb.DuckDBPyConnection, day: date) -> Seen | None:
        """The rows and points of the day's period; None where that has no rows."""
        last = period_of(day, self.period)
        shown = f"from {self.relation} where {self.column} = date '{last}'"
        [(count,)] = con.execute(f"select count(*) {shown}").fetchall()
        if not count:
            return None
        order = "order by all " if self.in_order else ""
        found = con.sql(f"select * {shown} {order}limit {ROWS}")
        columns, types, rows = found.columns, found.types, found.fetchall()
        points = []
        if self.picture:
            first = _earlier(last, self.period, self.picture.periods - 1)
            within = f"{self.column} between date '{first}' and date '{last}'"
            points = con.execute(self.picture.query(self.relation, within)).fetchall()
        return Seen(
            count, tuple(columns), tuple(str(t).lower() for t in types), tuple(rows), tuple(points)
        )

    def metadata(self, seen: Seen, day: date) -> dict[str, dg.MetadataValue]:
        """The metadata of the day's materialization: the number of rows of its period, a picture
        and a sample."""
        metadata: dict[str, dg.MetadataValue] = {
            "dagster/partition_row_count": dg.MetadataValue.int(seen.count)
        }
        if self.picture and (drawn := self.picture.drawn(seen.points, self._when(day))):
            metadata["picture"] = dg.MetadataValue.md(drawn)
        metadata["sample"] = sample(seen)
        return metadata

    def _when(self, day: date) -> str:
        last = period_of(day, self.period)
        named = {"week": f"week of {last}", "month": f"{last:%Y-%m}"}.get(self.period, str(last))
        return f"up to {named}" if self.picture and self.picture.periods > 1 else named


def model_glance(relation: str, node: Mapping[str, Any]) -> Glance | None:
    """The glance of a dbt model: by the period and ``picture`` in its ``meta``, or by the last days
    of its spans; None for a model that has neither. Raises ValueError for a ``picture`` that is not
    valid."""
    meta = node["config"]["meta"]
    column = meta.get("period_column") or meta.get("span_end")
    if column is None:
        return None
    picture = meta.get("picture")
    try:
        drawn = Picture.of(picture) if picture is not None else None
    except ValueError as error:
        raise ValueError(f"meta of the model {node['name']}: {error}") from None
    return Glance(relation, column, meta.get("period", "day"), drawn)


def sample(seen: Seen) -> dg.MetadataValue:
    """The rows as a table: ids short, times as text. A table that is wider than a page is
    transposed: a line is then a column."""
    names, rows = seen.columns, [tuple(map(_cell, row)) for row in seen.rows]
    width = sum(max(len(str(cell)) for cell in column) for column in zip(names, *rows, strict=True))
    if width <= LETTERS:
        columns = [dg.TableColumn(*column) for column in zip(names, seen.types, strict=True)]
    else:
        rows = list(zip(names, *rows, strict=True))
        columns = [
            dg.TableColumn("column"),
            *(dg.TableColumn(str(n)) for n in range(1, len(rows[0]))),
        ]
    records = [
        dg.TableRecord({c.name: cell for c, cell in zip(columns, row, strict=True)}) for row in rows
    ]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _cell(value: Any) -> str | int | float | bool | None:
    if isinstance(value, UUID):
        return f"{value.hex[:ID_DIGITS]}…"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def period_of(day: date, period: str) -> date:
    """The first day of the day's period."""
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _earlier(first: date, period: str, periods: int) -> date:
    """The first day of the period so many periods before the one that begins on ``first``."""
    if period == "month":
        months = first.year * 12 + first.month - 1 - periods
        return date(months // 12, months % 12 + 1, 1)
    return first - timedelta(days=periods * (7 if period == "week" else 1))
