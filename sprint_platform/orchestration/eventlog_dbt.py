"""The environment of a dbt run for the event log."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sprint_platform.transform.dbt_runner import project_environment

SCHEMAS = {"eventlog_stage", "eventlog_mart"}


def eventlog_environment(batches: Collection[int], as_of: date | None) -> dict[str, str]:
    """The environment of a dbt run for these batches; for all of them where none is named."""
    environment = project_environment()
    if batches:
        environment["SPRINT_BATCHES"] = ",".join(str(batch) for batch in sorted(set(batches)))
    if as_of is not None:
        environment["SPRINT_AS_OF"] = as_of.isoformat()
    return environment
