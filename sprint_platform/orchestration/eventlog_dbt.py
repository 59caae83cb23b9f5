"""What a dbt run for the event log is told, and what is published after it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

import duckdb

from sprint_platform.eventlog.contracts import BATCH_COLUMN, DOMAIN
from sprint_platform.orchestration.dbt_runner import project_environment
from sprint_platform.warehouse.publish import publish_tables

SCHEMAS = {"eventlog_stage", "eventlog_mart"}


def eventlog_environment(batches: Collection[int], as_of: date | None) -> dict[str, str]:
    """The environment of a dbt run for these batches; for all of them where none is named."""
    environment = project_environment()
    if batches:
        environment["SPRINT_BATCHES"] = ",".join(str(batch) for batch in sorted(set(batches)))
    if as_of is not None:
        environment["SPRINT_AS_OF"] = as_of.isoformat()
    return environment


def publish(
    con: duckdb.DuckDBPyConnection, built: Mapping[str, str], batches: Collection[int]
) -> int:
    """Publishes what was built (relations and their materialization), but no views; returns how
    many files were written. What is built batch by batch is published so; no batch means all."""
    return publish_tables(
        con,
        DOMAIN,
        whole=[relation for relation, kind in built.items() if kind == "table"],
        in_parts=[relation for relation, kind in built.items() if kind == "incremental"],
        part_column=BATCH_COLUMN.name,
        parts=batches,
    )
