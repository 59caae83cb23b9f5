"""A dbt run for the event log: its environment, what must be loaded before, what is published
after; and such a run from the command line, in DuckDB or in Snowflake."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import duckdb

from sprint_platform.eventlog.contracts import BATCH_COLUMN, RAW_TABLES
from sprint_platform.eventlog.load import LoadError
from sprint_platform.orchestration.dbt_runner import (
    dbt_result,
    failure_line,
    node_results,
    project_arguments,
    project_environment,
    stray_relations,
)
from sprint_platform.warehouse.database import connect
from sprint_platform.warehouse.lease import lease
from sprint_platform.warehouse.publish import publish_batches, publish_whole

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt_common.events.base_types import EventMsg

DOMAIN = "eventlog"
SCHEMAS = {"eventlog_stage", "eventlog_mart"}


def eventlog_environment(batches: list[int], as_of: date | None) -> dict[str, str]:
    """The environment of a dbt run for these batches; for all of them where none is named."""
    environment = project_environment()
    if batches:
        environment["SPRINT_BATCHES"] = ",".join(str(batch) for batch in sorted(set(batches)))
    if as_of is not None:
        environment["SPRINT_AS_OF"] = as_of.isoformat()
    return environment


def require_loaded(
    con: duckdb.DuckDBPyConnection, tables: Collection[str], batches: list[int]
) -> None:
    """Raises LoadError where one of the raw tables is missing, or does not hold the batches; or
    holds another number of rows than a batch's file in Dagster's folder: a run that was killed
    between writing and loading would else build models of half a batch."""
    from sprint_platform.eventlog.duckdb_target import DuckDBTarget
    from sprint_platform.eventlog.files import batch_dir, csv_path, manifest_path, read_table_file

    target = DuckDBTarget(con)
    present = target.existing()
    for table in (RAW_TABLES[name] for name in RAW_TABLES if name in tables):
        relation = target.relation(table)
        if table.name not in present:
            raise LoadError(
                f"the warehouse has no {relation}: sprint eventlog generate, or materialize"
                f" eventlog/{table.name} first"
            )
        held = dict(
            target.rows(
                f"select {BATCH_COLUMN.name}, count(*) from {relation} group by 1 order by 1"
            )
        )
        for batch in batches:
            folder = batch_dir(batch)
            if not manifest_path(csv_path(folder, table.name)).exists():
                if batch not in held:
                    told = ", ".join(str(there) for there in held) or "none"
                    raise LoadError(f"{relation} holds no batch {batch}: it holds {told}")
                continue  # loaded from the command line
            written = read_table_file(folder, table.name).rows
            if held.get(batch, 0) != written:
                raise LoadError(
                    f"{relation} has {held.get(batch, 0):,} rows of batch {batch}, its file in"
                    f" {folder} {written:,}: materialize eventlog/{table.name} for {batch} again"
                )


def publish(con: duckdb.DuckDBPyConnection, built: Mapping[str, str], batches: list[int]) -> int:
    """Publishes what was built (relations and their materialization); views are not. Returns how
    many files were written. What is built batch by batch is published so."""
    by_batch = [relation for relation, kind in built.items() if kind == "incremental"]
    whole = [relation for relation, kind in built.items() if kind == "table"]
    written = publish_batches(con, DOMAIN, by_batch, BATCH_COLUMN.name, batches)
    return written + publish_whole(con, DOMAIN, whole)


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
            with connect() as con:
                require_loaded(con, RAW_TABLES, batches)
            result = dbt_result(arguments, environment, [hear])
            failure = failure_line(DOMAIN, result)
            if failure is None:
                failure = _publish_models(result, batches)
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
