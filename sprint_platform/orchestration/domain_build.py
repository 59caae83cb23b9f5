"""Building a domain's models from the command line: all of them, in one dbt invocation."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from sprint_platform.orchestration.dbt_runner import (
    dbt_result,
    failure_line,
    node_results,
    project_arguments,
    stray_relations,
)
from sprint_platform.warehouse.database import connect
from sprint_platform.warehouse.lease import lease

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt_common.events.base_types import EventMsg

# Publishes what was built in DuckDB: relations, and how each is materialized.
Publish = Callable[[duckdb.DuckDBPyConnection, Mapping[str, str]], object]


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
    domain: str,
    environment: Mapping[str, str],
    schemas: Collection[str],
    publish: Publish,
    target: str = "duckdb",
) -> Built:
    """Builds and tests the domain's models in dbt's ``target``; in DuckDB under the lease, and
    publishes them. ``environment`` is what dbt and its profile read; nothing may be built outside
    ``schemas``."""
    began = time.perf_counter()
    arguments = [
        "build",
        *project_arguments(domain if target == "duckdb" else f"{domain}_{target}"),
        # its own lines would tell a failure twice
        *("--log-level", "none", "--log-level-file", "info"),
        *("--no-write-json", "--no-use-colors", "--cache-selected-only"),
        *("--select", f"tag:{domain}", "--exclude-resource-type", "unit_test"),
    ]
    if target != "duckdb":
        arguments += ["--target", target]
    wrong_rows: list[str] = []

    def hear(event: EventMsg) -> None:
        # what macros/test_materialization.sql says
        if event.info.name == "JinjaLogInfo":
            wrong_rows.append(event.data.msg)

    if target == "duckdb":
        with lease(f"sprint {domain} build"):
            result = dbt_result(arguments, environment, [hear])
            failure = failure_line(domain, result) or _publish(result, domain, schemas, publish)
    else:
        result = dbt_result(arguments, environment, [hear])
        failure = failure_line(domain, result)
    done = node_results(result)
    return Built(
        models=sum(r.node.resource_type == "model" for r in done),
        tests=sum(r.node.resource_type == "test" for r in done),
        seconds=time.perf_counter() - began,
        failure=failure,
        wrong_rows=tuple(wrong_rows),
    )


def _publish(
    result: dbtRunnerResult, domain: str, schemas: Collection[str], publish: Publish
) -> str | None:
    """Publishes what was built; what is wrong with it in one line, where something is."""
    from dbt.contracts.graph.nodes import ModelNode

    if stray := stray_relations(schemas, result):
        return f"dbt built {', '.join(stray)}: outside the schemas of {domain}"
    models = [r.node for r in node_results(result) if isinstance(r.node, ModelNode)]
    with connect() as con:
        publish(con, {f"{m.schema}.{m.alias}": str(m.config.materialized) for m in models})
    return None
