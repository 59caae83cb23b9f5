"""What Dagster shows of a dataset's asset and of its partitions, whatever domain it is of."""

from __future__ import annotations

from typing import Any

import dagster as dg

from sprint_platform.storage.partitions import Manifest
from sprint_platform.telemetry.contracts import Column, Dataset


def table_metadata(dataset: Dataset, domain: str) -> dict[str, Any]:
    """The dataset's table in the warehouse, and its columns with their meaning."""
    return {
        "dagster/table_name": dataset.relation(domain),
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(column.name, column.duckdb_type, description=_meaning(column))
                for column in dataset.columns
            ]
        ),
    }


def _meaning(column: Column) -> str:
    values = f": {', '.join(column.values)}" if column.values else ""
    return column.meaning + (f" ({column.unit})" if column.unit else "") + values


def partition_metadata(manifest: Manifest, seconds: float | None = None) -> dict[str, Any]:
    """A partition's rows, bytes and digest; and how fast it was made, where it was made here."""
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": manifest.rows,
        "bytes": manifest.bytes,
        "digest": manifest.digest,
    }
    if seconds is not None:
        metadata["seconds"] = round(seconds, 3)
        metadata["rows_per_second"] = round(manifest.rows / seconds)
    return metadata
