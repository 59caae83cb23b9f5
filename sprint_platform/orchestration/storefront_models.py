"""The store's dbt models as assets, dbt's tests as their checks."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Iterator
from typing import Any

import dagster as dg

from sprint_platform.core.settings import settings
from sprint_platform.orchestration.dbt_step import build_specs, run_dbt, selected_nodes
from sprint_platform.orchestration.dbt_translator import ModelTranslator
from sprint_platform.orchestration.failures import told_in_one_line
from sprint_platform.orchestration.policies import FRESHNESS
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import run_window
from sprint_platform.orchestration.storefront_assets import DAYS
from sprint_platform.orchestration.storefront_dbt import (
    SCHEMAS,
    require_loaded,
    storefront_environment,
)
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storefront.contracts import BRONZE, DOMAIN
from sprint_platform.storefront.duckdb_target import LEDGER
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform.title import title_names
from sprint_platform.transform.dbt_manifest import Node, dataset_of, domain_of, sources_of


class StorefrontTranslator(ModelTranslator):
    """Names of the store's tables and models."""

    def __init__(self) -> None:
        super().__init__()
        # not checked: a wrong setting of the store must not take the games' graph along
        chosen = settings().store_title
        game = StoreSettings.model_fields["title"].default if chosen is None else chosen
        self._game = game if game in title_names() else None

    @property
    def ledger(self) -> Ledger:
        return LEDGER

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        """``storefront/raw_orders``, ``storefront/daily_sales``; and the title's dataset, where a
        model reads what players buy in the game."""
        if _is_of_the_game(dbt_resource_props):
            return dg.AssetKey([self._game or "sprint", dataset_of(dbt_resource_props)])
        return dg.AssetKey([DOMAIN, self._table(dbt_resource_props)])

    def get_partition_mapping(
        self, dbt_resource_props: Node, dbt_parent_resource_props: Node
    ) -> dg.PartitionMapping | None:
        """What a player has spent in the game is counted over all its days; and the game may have
        been launched after the store was opened."""
        if _is_of_the_game(dbt_parent_resource_props):
            return dg.AllPartitionMapping()
        return None

    def get_group_name(self, dbt_resource_props: Node) -> str:
        return DOMAIN

    def relation(self, node: Node) -> str:
        return f"{node['schema']}.{self._table(node)}"

    def attributes(self, manifest: Node, node: Node, spec: dg.AssetSpec) -> dict[str, Any]:
        deps = [dep for dep in spec.deps if self._game or dep.asset_key.path[0] == DOMAIN]
        return {"freshness_policy": FRESHNESS, "deps": deps}

    def _table(self, node: Node) -> str:
        return str(node["identifier"] if node["resource_type"] == "source" else node["alias"])


def _is_of_the_game(node: Node) -> bool:
    return bool(node["resource_type"] == "source" and node["source_name"] != BRONZE)


def build_storefront_models(manifest: Node) -> dg.AssetsDefinition:
    """All models in one step, which is one dbt invocation per run, with their tests and those of
    the bronze tables."""
    translator = StorefrontTranslator()
    specs, check_specs = build_specs(translator, manifest, f"tag:{DOMAIN},resource_type:model")

    @dg.multi_asset(
        name=f"{DOMAIN}_dbt",
        specs=specs,
        check_specs=check_specs,
        can_subset=True,
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        allow_arbitrary_check_specs=True,
    )
    def models(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
        window = run_window(context)
        nodes = selected_nodes(context, manifest)
        read = {
            source["identifier"]
            for node in nodes
            for source in sources_of(manifest, node)
            if domain_of(source) == DOMAIN
        }
        holder = f"dbt of {DOMAIN} in run {context.run.run_id}"
        with told_in_one_line(), warehouse.get_connection(holder) as con:
            if window:
                require_loaded(con, read, window.days)
            environment = storefront_environment(con, window)
            yield from run_dbt(
                context, con, manifest, translator, DOMAIN, nodes, environment, SCHEMAS
            )

    return models
