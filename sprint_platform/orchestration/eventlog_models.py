"""The event log's dbt models as assets, and the environment of a dbt run for them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import dagster as dg
import duckdb

from sprint_platform.engines.engine import LoadError
from sprint_platform.eventlog.batches import BEHIND, batches_behind, require_batches
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.load import loaded_digest
from sprint_platform.eventlog.warehouse import LEDGER, EventlogEngine, in_duckdb
from sprint_platform.orchestration.dbt_step import build_models_step
from sprint_platform.orchestration.dbt_translator import DomainTranslator
from sprint_platform.orchestration.eventlog_assets import BATCHES
from sprint_platform.orchestration.run_window import run_batches
from sprint_platform.transform.dbt_manifest import Node, sources_of
from sprint_platform.transform.dbt_runner import batches_environment, project_environment


def eventlog_translator() -> DomainTranslator:
    """Names of the event log's tables and models."""
    return DomainTranslator(LEDGER)


def eventlog_environment(batches: Collection[int], as_of: date | None) -> dict[str, str]:
    """The environment of a dbt run for these batches; without any for all of them."""
    day = {"SPRINT_AS_OF": as_of.isoformat()} if as_of is not None else {}
    return {**project_environment(), **batches_environment(batches), **day}


def build_eventlog_models(manifest: Node) -> dg.AssetsDefinition:
    """All models, with their tests and those of the raw tables."""
    translator = eventlog_translator()
    known = translator.models(manifest)

    def prepare(
        context: dg.AssetExecutionContext, con: duckdb.DuckDBPyConnection, nodes: list[Node]
    ) -> dict[str, str]:
        read = {source["identifier"] for node in nodes for source in sources_of(manifest, node)}
        # a check that is launched alone covers everything
        asked = set(run_batches(context))
        engine = in_duckdb(con)
        require_batches(engine, read, asked)
        require_loaded(engine, read, asked)
        also = batches_behind(engine, known) - asked if asked else set()
        if also:
            context.log.info(f"with the batches {sorted(also)}: {BEHIND}")
        return eventlog_environment(asked | also, None)

    return build_models_step(translator, manifest, BATCHES, prepare)


def require_loaded(
    engine: EventlogEngine, tables: Collection[str], batches: Collection[int]
) -> None:
    """Raises LoadError where a raw table was not loaded from Dagster's file of a batch: after a run
    that was killed between writing and loading, models would be built from old rows. A batch that
    was loaded from the command line has no such file."""
    from sprint_platform.eventlog.files import batch_dir, csv_path, manifest_path, read_table_file

    engine.ensure_ledger()
    loaded = {
        (str(table), int(batch)): str(digest)
        for table, batch, digest in engine.rows(
            f"select dataset, load_batch_id, digest from {engine.ledger.loaded_table}"
        )
    }
    for table in (name for name in RAW_TABLES if name in tables):
        for batch in sorted(batches):
            folder = batch_dir(batch)
            if not manifest_path(csv_path(folder, table)).exists():
                continue
            file = read_table_file(folder, table)
            # the version before noted no digest, but the number of rows
            if loaded.get((table, batch)) not in (
                loaded_digest(file.sha256),
                f"{file.rows} rows",
            ):
                raise LoadError(
                    f"{engine.relation(RAW_TABLES[table])} does not hold batch {batch} as its file"
                    f" in {folder} has it: materialize eventlog/{table} for {batch} again"
                )
