"""The event log's dbt models as assets, dbt's tests as their checks."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Collection, Iterator
from typing import Any

import dagster as dg

from sprint_platform.eventlog.batches import BEHIND, batches_behind, require_batches
from sprint_platform.eventlog.contracts import DOMAIN, RAW_TABLES
from sprint_platform.eventlog.duckdb_target import LEDGER, DuckDBTarget
from sprint_platform.eventlog.load import LoadError, loaded_digest
from sprint_platform.orchestration.dbt_step import build_specs, run_dbt, selected_nodes
from sprint_platform.orchestration.dbt_translator import ModelTranslator
from sprint_platform.orchestration.eventlog_assets import BATCHES, run_batches
from sprint_platform.orchestration.eventlog_dbt import SCHEMAS, eventlog_environment
from sprint_platform.orchestration.failures import told_in_one_line
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.storage.ledger import Ledger
from sprint_platform.transform.dbt_manifest import Node, sources_of


class EventlogTranslator(ModelTranslator):
    """Names of the event log's tables and models."""

    @property
    def ledger(self) -> Ledger:
        return LEDGER

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        """``eventlog/raw_sessions``, ``eventlog/fct_sessions``."""
        return dg.AssetKey([DOMAIN, self._table(dbt_resource_props)])

    def get_group_name(self, dbt_resource_props: Node) -> str:
        return DOMAIN

    def relation(self, node: Node) -> str:
        return f"{node['schema']}.{self._table(node)}"

    def _table(self, node: Node) -> str:
        return str(node["identifier"] if node["resource_type"] == "source" else node["alias"])


def build_eventlog_models(manifest: Node) -> dg.AssetsDefinition:
    """All models in one step, which is one dbt invocation per run, with their tests and those of
    the raw tables."""
    translator = EventlogTranslator()
    known = translator.models(manifest)
    specs, check_specs = build_specs(translator, manifest, f"tag:{DOMAIN},resource_type:model")

    @dg.multi_asset(
        name="eventlog_dbt",
        specs=specs,
        check_specs=check_specs,
        can_subset=True,
        partitions_def=BATCHES,
        backfill_policy=dg.BackfillPolicy.single_run(),
        allow_arbitrary_check_specs=True,
    )
    def models(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
        nodes = selected_nodes(context, manifest)
        read = {source["identifier"] for node in nodes for source in sources_of(manifest, node)}
        # a check that is launched alone is about everything
        asked = set(run_batches(context))
        holder = f"dbt of {DOMAIN} in run {context.run.run_id}"
        with told_in_one_line(), warehouse.get_connection(holder) as con:
            target = DuckDBTarget(con)
            require_batches(target, read, asked)
            require_loaded(target, read, asked)
            also = batches_behind(target, known) - asked if asked else set()
            if also:
                context.log.info(f"with the batches {sorted(also)}: {BEHIND}")
            environment = eventlog_environment(asked | also, None)
            yield from run_dbt(
                context, con, manifest, translator, DOMAIN, nodes, environment, SCHEMAS
            )

    return models


def require_loaded(target: DuckDBTarget, tables: Collection[str], batches: Collection[int]) -> None:
    """Raises LoadError where a raw table was not loaded from Dagster's file of a batch: a run that
    was killed between writing and loading would else build models of old rows. A batch that was
    loaded from the command line has no such file."""
    from sprint_platform.eventlog.files import batch_dir, csv_path, manifest_path, read_table_file

    target.ensure_ledger()
    loaded = {
        (str(table), int(batch)): str(digest)
        for table, batch, digest in target.rows(
            f"select dataset, load_batch_id, digest from {target.ledger_schema}.loaded_batches"
        )
    }
    for table in (name for name in RAW_TABLES if name in tables):
        for batch in sorted(batches):
            folder = batch_dir(batch)
            if not manifest_path(csv_path(folder, table)).exists():
                continue
            file = read_table_file(folder, table)
            # the version before noted no digest: a batch that it loaded is known by its rows
            if loaded.get((table, batch)) not in (
                loaded_digest(file.sha256),
                f"{file.rows} rows",
            ):
                raise LoadError(
                    f"{target.relation(RAW_TABLES[table])} does not hold batch {batch} as its file"
                    f" in {folder} has it: materialize eventlog/{table} for {batch} again"
                )
