"""What an asset's page says of its table: the name, and the columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from sprint_platform.telemetry.contracts import Column, Dataset


def table_metadata(relation: str, columns: Iterable[dg.TableColumn]) -> dict[str, Any]:
    """The metadata of a table with that qualified name."""
    return {
        "dagster/table_name": relation,
        "dagster/column_schema": dg.TableSchema(columns=list(columns)),
    }


def columns_of(dataset: Dataset) -> list[dg.TableColumn]:
    """The columns of a contract, with what they mean."""
    return [
        dg.TableColumn(column.name, column.duckdb_type, description=_meaning(column))
        for column in dataset.columns
    ]


def columns_in_sql(columns: str) -> list[dg.TableColumn]:
    """The columns of ``create table``, as in ``"player_id uuid, decile smallint"``."""
    pairs = [column.split() for column in columns.split(", ")]
    return [dg.TableColumn(name, kind) for name, kind in pairs]


def _meaning(column: Column) -> str:
    values = f": {', '.join(column.values)}" if column.values else ""
    return column.meaning + (f" ({column.unit})" if column.unit else "") + values
