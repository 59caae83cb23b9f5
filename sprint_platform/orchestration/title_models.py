"""A title's dbt models and seeds as assets, dbt's tests as their checks."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Iterator
from typing import Any

import dagster as dg
import duckdb

from sprint_platform.core.window import Window
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.orchestration.dbt_step import (
    build_specs,
    checks_of_unread_sources,
    run_dbt,
    selected_nodes,
)
from sprint_platform.orchestration.failures import ClearFailure, told_in_one_line
from sprint_platform.orchestration.raw_assets import Watch
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import run_window
from sprint_platform.orchestration.title_translator import TitleTranslator
from sprint_platform.orchestration.upstream import require_loaded
from sprint_platform.publish.marts import existing_relations
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import Node, datasets_of
from sprint_platform.transform.dbt_runner import (
    build_arguments,
    dbt_environment,
    dbt_result,
    failure_line,
    title_schemas,
)


def build_title_models(
    title: Title,
    manifest: Node,
    partitions: dg.PartitionsDefinition,
    watch: Watch | None = None,
) -> dg.AssetsDefinition:
    """All daily models of the title in one step, which is one dbt invocation per run; with the
    tests of the models and of the datasets."""
    translator = TitleTranslator(title)
    specs, check_specs = build_specs(translator, manifest, "tag:title,resource_type:model")

    # dagster-dbt's @dbt_assets, but that it forgets the tests of a dataset that no model reads
    @dg.multi_asset(
        name=f"{title.name}_dbt",
        specs=specs,
        check_specs=[*check_specs, *checks_of_unread_sources(translator, manifest, "title")],
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        allow_arbitrary_check_specs=True,
    )
    def models(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
        yield from _build(context, warehouse, manifest, translator, run_window(context), watch)

    return models


def build_seed_assets(title: Title, manifest: Node) -> dg.AssetsDefinition:
    """The title's seeds. They change when somebody changes them, so no day and no job has them.
    A landed title's products are landed: the catalogue is no seed of it."""
    translator = TitleTranslator(title)
    excluded = "dim_products" if title.source == "landing" else ""
    specs, check_specs = build_specs(translator, manifest, "tag:title,resource_type:seed", excluded)

    @dg.multi_asset(
        name=f"{title.name}_seeds",
        specs=specs,
        check_specs=check_specs,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def seeds(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
        yield from _build(context, warehouse, manifest, translator, None)

    return seeds


def _build(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    manifest: Node,
    translator: TitleTranslator,
    window: Window | None,
    watch: Watch | None = None,
) -> Iterator[Any]:
    title = translator.title
    nodes = selected_nodes(context, manifest)
    holder = f"dbt of {title.name} in run {context.run.run_id}"
    with told_in_one_line(), warehouse.get_connection(holder) as con:
        models = [node for node in nodes if node["resource_type"] == "model"]
        ensure_title_schemas(con, title.name)
        if title.source == "landing":
            # a test reads it; where no products were landed it is empty
            con.execute(DATASETS["products"].create_table_sql(title.name))
        if window:
            tables = {translator.table(node): datasets_of(manifest, node) for node in models}
            require_loaded(con, title, tables, window)
        if seeds := missing_parents(con, manifest, translator, nodes):
            _build_seeds(context, manifest, translator, seeds)
        environment = dbt_environment(title, window)
        hear = (lambda: watch(f"{title.name}/dbt", window.start, 1)) if watch and window else None
        schemas = title_schemas(title.name)
        last = window.days[-1] if window else None
        yield from run_dbt(
            context, con, manifest, translator, title.name, nodes, environment, schemas, hear, last
        )


def missing_parents(
    con: duckdb.DuckDBPyConnection, manifest: Node, translator: TitleTranslator, nodes: list[Node]
) -> list[Node]:
    """The seeds that the nodes read, do not build, and that were never built. Raises ClearFailure
    where it is a model: which days of it are wanted is for a person to say."""
    built = existing_relations(con)
    selected = {node["unique_id"] for node in nodes}
    seeds: dict[str, Node] = {}
    for node in nodes:
        for parent in sorted(set(manifest["parent_map"][node["unique_id"]]) - selected):
            if not parent.startswith(("model.", "seed.")):
                continue
            read = manifest["nodes"][parent]
            if translator.relation(read) in built:
                continue
            if read["resource_type"] == "seed":
                seeds[parent] = read
                continue
            key = translator.get_asset_key(read).to_user_string()
            raise ClearFailure(
                f"{node['name']} of {translator.title.name} needs {key}, which was never built:"
                f" materialize {key} first"
            )
    return list(seeds.values())


def _build_seeds(
    context: dg.AssetExecutionContext,
    manifest: Node,
    translator: TitleTranslator,
    seeds: list[Node],
) -> None:
    """Builds seeds that a title's first daily run stands on: they are in no daily job, and the
    schedule of a new title must not fail for it. The caller has the warehouse open."""
    title = translator.title
    arguments = build_arguments(title.name, manifest, seeds)
    result = dbt_result(arguments, dbt_environment(title, None))
    if line := failure_line(title.name, result):
        raise ClearFailure(line)
    for seed in seeds:
        context.log_event(
            dg.AssetMaterialization(
                translator.get_asset_key(seed), metadata={"made_for": "the title's first models"}
            )
        )
