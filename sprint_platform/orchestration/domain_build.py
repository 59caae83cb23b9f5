"""Building the event log's models from the command line, in DuckDB or in Snowflake."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from sprint_platform.eventlog.contracts import DOMAIN
from sprint_platform.orchestration.dbt_runner import (
    dbt_result,
    failure_line,
    node_results,
    project_arguments,
    stray_relations,
)
from sprint_platform.orchestration.eventlog_dbt import SCHEMAS, eventlog_environment, publish
from sprint_platform.warehouse.database import connect
from sprint_platform.warehouse.lease import lease

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt_common.events.base_types import EventMsg


@dataclass(frozen=True)
class Built:
    """What a dbt run did; ``failure`` says in one line what went wrong, where something did, and
    ``wrong_rows`` which rows a failed test found, for example."""

    models: int
    tests: int
    seconds: float
    failure: str | None
    wrong_rows: tuple[str, ...]


def build_models(
    batches: list[int], as_of: date | None, target: str, secrets: Mapping[str, str]
) -> Built:
    """Builds and tests the models in ``duckdb`` or ``snowflake``, for these batches or for all.
    ``secrets`` is what the target's profile reads from the environment beside the project's."""
    began = time.perf_counter()
    arguments = [
        "build",
        *project_arguments(DOMAIN if target == "duckdb" else f"{DOMAIN}_{target}"),
        # its own lines would tell a failure twice
        *("--log-level", "none", "--log-level-file", "info"),
        *("--no-write-json", "--no-use-colors", "--cache-selected-only"),
        *("--select", f"tag:{DOMAIN}", "--exclude-resource-type", "unit_test"),
    ]
    if target != "duckdb":
        arguments += ["--target", target]
    environment = {**eventlog_environment(batches, as_of), **secrets}
    wrong_rows: list[str] = []

    def hear(event: EventMsg) -> None:
        # what macros/test_materialization.sql says
        if event.info.name == "JinjaLogInfo":
            wrong_rows.append(event.data.msg)

    if target == "duckdb":
        with lease(f"sprint {DOMAIN} build"):
            result = dbt_result(arguments, environment, [hear])
            failure = failure_line(DOMAIN, result) or _publish_models(result, batches)
    else:
        result = dbt_result(arguments, environment, [hear])
        failure = failure_line(DOMAIN, result)
    done = node_results(result)
    return Built(
        models=sum(r.node.resource_type == "model" for r in done),
        tests=sum(r.node.resource_type == "test" for r in done),
        seconds=time.perf_counter() - began,
        failure=failure,
        wrong_rows=tuple(wrong_rows),
    )


def _publish_models(result: dbtRunnerResult, batches: list[int]) -> str | None:
    """Publishes what was built in DuckDB; what is wrong with it in one line, where something is."""
    from dbt.contracts.graph.nodes import ModelNode

    if stray := stray_relations(SCHEMAS, result):
        return f"dbt built {', '.join(stray)}: outside the schemas of {DOMAIN}"
    models = [r.node for r in node_results(result) if isinstance(r.node, ModelNode)]
    with connect() as con:
        publish(con, {f"{m.schema}.{m.alias}": str(m.config.materialized) for m in models}, batches)
    return None
