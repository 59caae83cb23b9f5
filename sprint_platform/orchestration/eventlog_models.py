"""The event log's dbt models as assets, dbt's tests as their checks."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Iterator
from typing import Any

import dagster as dg

from sprint_platform.orchestration.dbt_manifest import Node, sources_of
from sprint_platform.orchestration.dbt_step import build_specs, run_dbt, selected_nodes
from sprint_platform.orchestration.dbt_translator import ModelTranslator
from sprint_platform.orchestration.eventlog_assets import BATCHES, GROUP
from sprint_platform.orchestration.eventlog_dbt import (
    DOMAIN,
    SCHEMAS,
    eventlog_environment,
    publish,
    require_loaded,
)
from sprint_platform.orchestration.failures import told_in_one_line
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.warehouse.database import connect


class EventlogTranslator(ModelTranslator):
    """Names of the event log's tables and models."""

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        """``eventlog/raw_sessions``, ``eventlog/fct_sessions``."""
        return dg.AssetKey([DOMAIN, self._table(dbt_resource_props)])

    def get_group_name(self, dbt_resource_props: Node) -> str:
        return GROUP

    def relation(self, node: Node) -> str:
        return f"{node['schema']}.{self._table(node)}"

    def _table(self, node: Node) -> str:
        return str(node["identifier"] if node["resource_type"] == "source" else node["alias"])


def build_eventlog_models(manifest: Node) -> dg.AssetsDefinition:
    """All models in one step, which is one dbt invocation per run, with their tests and those of
    the raw tables."""
    translator = EventlogTranslator()
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
        # a check that is launched alone is about everything
        partitioned = context.has_partition_key or context.has_partition_key_range
        batches = [int(key) for key in context.partition_keys] if partitioned else []
        with told_in_one_line(), warehouse.leased(f"dbt of {DOMAIN} in run {context.run.run_id}"):
            read = {source["identifier"] for node in nodes for source in sources_of(manifest, node)}
            with connect() as con:
                require_loaded(con, read, batches)
            yield from run_dbt(
                context,
                manifest,
                translator,
                DOMAIN,
                nodes,
                eventlog_environment(batches, None),
                SCHEMAS,
            )
            built = {
                translator.relation(node): node["config"]["materialized"]
                for node in nodes
                if node["resource_type"] == "model"
            }
            with connect() as con:
                written = publish(con, built, batches)
            context.log.info(f"{written} files published")

    return models
