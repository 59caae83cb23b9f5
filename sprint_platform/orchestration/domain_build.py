"""Building a domain's models from the command line: all of them, in one dbt invocation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sprint_platform.core.locks import hold
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.orchestration.dbt_step import definitions_environment
from sprint_platform.orchestration.dbt_translator import ModelTranslator
from sprint_platform.publish.marts import publish
from sprint_platform.transform.dbt_manifest import graph_manifest
from sprint_platform.transform.dbt_runner import (
    dbt_result,
    dbt_result_in_duckdb,
    failure_line,
    node_results,
    project_arguments,
    stray_relations,
)


@dataclass(frozen=True)
class Built:
    """What a dbt run did. ``failure`` is one line, None where nothing failed; ``warnings`` a line
    for each test that found something and stops nothing."""

    models: int
    tests: int
    seconds: float
    failure: str | None
    warnings: tuple[str, ...]


def build_models(
    translator: ModelTranslator,
    environment: Mapping[str, str],
    target: str = "duckdb",
) -> Built:
    """Builds and tests a domain's models in dbt's ``target``; in DuckDB under the lease, and
    publishes those that succeeded. ``environment`` is what dbt and its profile read."""
    domain, manifest = translator.ledger.name, graph_manifest(translator.project)
    environment = {**environment, **definitions_environment(translator.models(manifest))}
    began = time.perf_counter()
    arguments = [
        "build",
        *project_arguments(
            domain if target == "duckdb" else f"{domain}_{target}", translator.project
        ),
        # dbt's own lines would repeat a failure
        *("--log-level", "none", "--log-level-file", "info"),
        *("--no-write-json", "--no-use-colors", "--cache-selected-only"),
        *("--select", f"tag:{domain}", "--exclude-resource-type", "unit_test"),
    ]
    if target != "duckdb":
        arguments += ["--target", target]
    if target == "duckdb":
        with hold(warehouse_lock(), f"sprint {domain} build"):
            result = dbt_result_in_duckdb(arguments, environment)
            failure = failure_line(domain, result)
            if stray := stray_relations(translator.schemas, result):
                failure = f"dbt built {', '.join(stray)}: outside the schemas of {domain}"
            elif node_results(result):
                with connect() as con:
                    translator.ledger.forget_others(con, translator.models(manifest))
                    publish(con, translator.ledger, translator.marts(manifest))
    else:
        result = dbt_result(arguments, environment)
        failure = failure_line(domain, result)
    done = node_results(result)
    return Built(
        models=sum(r.node.resource_type == "model" for r in done),
        tests=sum(r.node.resource_type == "test" for r in done),
        seconds=time.perf_counter() - began,
        failure=failure,
        warnings=tuple(f"{r.node.name}: {r.message}" for r in done if r.status == "warn"),
    )
