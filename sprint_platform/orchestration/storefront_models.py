"""The store's dbt models as assets, and the environment of a dbt run for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, timedelta
from typing import Any

import dagster as dg
import duckdb

from sprint_platform.core.settings import settings
from sprint_platform.core.window import Window, described
from sprint_platform.orchestration.dbt_step import build_models_step
from sprint_platform.orchestration.dbt_translator import DomainTranslator
from sprint_platform.orchestration.policies import FRESHNESS
from sprint_platform.orchestration.run_window import run_window
from sprint_platform.orchestration.storefront_assets import DAYS
from sprint_platform.storage.partitions import read_manifest
from sprint_platform.storefront.contracts import BRONZE, BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.duckdb_target import (
    LEDGER,
    ensure_bronze,
    loaded_title,
    withdraw_replaced,
)
from sprint_platform.storefront.errors import StorefrontError
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform.title import title_names
from sprint_platform.transform.dbt_manifest import Node, dataset_of, domain_of, sources_of
from sprint_platform.transform.dbt_runner import project_environment, window_environment


class StorefrontTranslator(DomainTranslator):
    """Names of the store's tables and models."""

    def __init__(self) -> None:
        super().__init__(LEDGER)
        # not checked: a wrong setting of the store must not stop the games' graph
        chosen = settings().store_title
        game = StoreSettings.model_fields["title"].default if chosen is None else chosen
        self._game = game if game in title_names() else None

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        """``storefront/raw_orders``, ``storefront/daily_sales``; or the title's dataset, where a
        model reads what players buy in the game."""
        if _is_of_the_game(dbt_resource_props):
            return dg.AssetKey([self._game or "sprint", dataset_of(dbt_resource_props)])
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Node) -> str:
        """``storefront_silver``, ``storefront_gold``: by the schema."""
        return f"{DOMAIN}_{dbt_resource_props['schema']}"

    def get_partition_mapping(
        self, dbt_resource_props: Node, dbt_parent_resource_props: Node
    ) -> dg.PartitionMapping | None:
        """All days for a dataset of the game: a player's spending counts over all of them, and the
        game may have been launched after the store was opened."""
        if _is_of_the_game(dbt_parent_resource_props):
            return dg.AllPartitionMapping()
        return None

    def attributes(self, manifest: Node, node: Node, spec: dg.AssetSpec) -> dict[str, Any]:
        deps = [dep for dep in spec.deps if self._game or dep.asset_key.path[0] == DOMAIN]
        return {"freshness_policy": FRESHNESS, "deps": deps}


def _is_of_the_game(node: Node) -> bool:
    return bool(node["resource_type"] == "source" and node["source_name"] != BRONZE)


def build_storefront_models(manifest: Node) -> dg.AssetsDefinition:
    """All models, with their tests and those of the bronze tables."""

    def prepare(
        context: dg.AssetExecutionContext, con: duckdb.DuckDBPyConnection, nodes: list[Node]
    ) -> dict[str, str]:
        window = run_window(context)
        read = {
            source["identifier"]
            for node in nodes
            for source in sources_of(manifest, node)
            if domain_of(source) == DOMAIN
        }
        if window:
            require_loaded(con, read, window.days)
        withdraw_replaced(con)
        return storefront_environment(con, window)

    return build_models_step(StorefrontTranslator(), manifest, DAYS, prepare)


def storefront_environment(con: duckdb.DuckDBPyConnection, window: Window | None) -> dict[str, str]:
    """The environment of a dbt run for these days, or for all that is loaded in the warehouse
    ``con``."""
    # the title of the loaded store, whatever the settings say now
    title = {"SPRINT_STORE_TITLE": loaded_title(con)}
    return {**project_environment(), **window_environment(window), **title}


def require_any(con: duckdb.DuckDBPyConnection) -> None:
    """Raises StorefrontError where bronze has no day."""
    ensure_bronze(con)
    if con.execute(f"select 1 from {LEDGER.loaded_table} limit 1").fetchone() is None:
        raise StorefrontError(
            "bronze holds no day of the store: run `sprint storefront generate --load` first"
        )


def require_loaded(
    con: duckdb.DuckDBPyConnection, tables: Collection[str], days: Iterable[date]
) -> None:
    """Raises StorefrontError where a table does not hold a day as its file has it: after a run that
    was killed between writing and loading, models would be built from old rows."""
    ensure_bronze(con)
    days = sorted(days)
    for table in (name for name in BRONZE_TABLES if name in tables):
        loaded = LEDGER.loaded_digests(con, table, days[0], days[-1] + timedelta(days=1))
        missing = [day for day in days if day not in loaded]
        behind = []
        for day in set(days).difference(missing):
            manifest = read_manifest(DOMAIN, table, day, BRONZE_TABLES[table])
            if manifest is not None and manifest.digest != loaded[day]:
                behind.append(day)
        if wrong := sorted(missing or behind):
            what = "is not there" if missing else "was made, but not loaded"
            last = "" if len(wrong) == 1 else f"...{wrong[-1]}"
            raise StorefrontError(
                f"{DOMAIN}/{table} for {described(wrong)} {what}: materialize {DOMAIN}/{table} for"
                f" {wrong[0]}{last} first"
            )
