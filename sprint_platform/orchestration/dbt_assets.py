"""A title's dbt models and seeds as assets, dbt's tests as their checks."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID
from dagster_dbt.asset_utils import default_description_fn

from sprint_platform.orchestration.catalogue import PRODUCTS_KEY
from sprint_platform.orchestration.dbt_runner import (
    build_arguments,
    dbt_environment,
    dbt_events,
    failure_line,
    stray_relations,
)
from sprint_platform.orchestration.failures import ClearFailure, told_in_one_line
from sprint_platform.orchestration.policies import FRESHNESS, OWNERS
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.window import Window, run_window
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform.warehouse.database import connect
from sprint_platform.warehouse.load import ensure_title_schemas

Node = Mapping[str, Any]
DATASET_OF_TABLE = {dataset.table: name for name, dataset in DATASETS.items()}


class TitleTranslator(DagsterDbtTranslator):
    """Names of one title for a manifest that was parsed for none."""

    def __init__(self, title: Title) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(
                enable_source_tests_as_checks=True,
                # it would be the other titles' too
                enable_source_metadata=False,
            )
        )
        self.title = title

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        """``sprint/heartbeats`` for a dataset, ``leap/stage_conflicts`` for a model."""
        return dg.AssetKey([self.title.name, self.table(dbt_resource_props)])

    def table(self, node: Node) -> str:
        """The dataset's name for a source, else the table's name in this title."""
        if node["resource_type"] == "source":
            return DATASET_OF_TABLE[node["identifier"]]
        if node["resource_type"] == "model":
            return str(node["alias"]).replace("encounter", self.title.encounters.word)
        return str(node["alias"])

    def get_group_name(self, dbt_resource_props: Node) -> str:
        """The schema's name."""
        if dbt_resource_props["resource_type"] == "source":
            return DATASETS[self.table(dbt_resource_props)].schema_name(self.title.name)
        return f"{self.title.name}_{dbt_resource_props['config']['schema']}"

    def relation(self, node: Node) -> str:
        """The qualified name in the database."""
        if node["resource_type"] == "source":
            return DATASETS[self.table(node)].relation(self.title.name)
        return f"{self.get_group_name(node)}.{self.table(node)}"

    def get_description(self, dbt_resource_props: Node) -> str:
        """The model's own words (its first comment says what a row is), and its SQL."""
        if dbt_resource_props.get("description"):
            return default_description_fn(dbt_resource_props)
        first = dbt_resource_props.get("raw_code", "").lstrip().split("\n")[0]
        grain = first.removeprefix("--").strip() if first.startswith("--") else ""
        return default_description_fn({**dbt_resource_props, "description": grain})

    def get_metadata(self, dbt_resource_props: Node) -> Mapping[str, Any]:
        return {
            **super().get_metadata(dbt_resource_props),
            "dagster/table_name": self.relation(dbt_resource_props),
        }

    def get_asset_spec(
        self, manifest: Node, unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        node = self.get_resource_props(manifest, unique_id)
        spec = (
            super().get_asset_spec(manifest, unique_id, project).replace_attributes(owners=OWNERS)
        )
        if node["resource_type"] == "model":
            # a test of the model may read a seed that the model does not: it must be there as well
            known = {dep.asset_key for dep in spec.deps}
            seeds = {self.get_asset_key(seed) for seed in _seeds_of_tests(manifest, node)}
            return spec.replace_attributes(
                freshness_policy=FRESHNESS, deps=[*spec.deps, *sorted(seeds - known)]
            )
        if spec.key.path[-1] == "dim_products" and self.title.source == "simulated":
            return spec.merge_attributes(deps=[PRODUCTS_KEY])
        return spec

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Node, unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is not None and asset_spec.metadata[UNIQUE_ID].startswith("source."):
            # dbt itself holds back what stands on the source. Were Dagster to do it, heartbeats
            # would wait for dbt's test of the sessions, and dbt for the heartbeats: Dagster would
            # cut dbt's step in parts, each with an invocation of its own
            return spec._replace(blocking=False)
        return spec


def _seeds_of_tests(manifest: Node, node: Node) -> Iterator[Node]:
    """The seeds that tests of the model, or of the sources that it reads, need."""
    sources = [parent for parent in node["depends_on"]["nodes"] if parent.startswith("source.")]
    for tested in [node["unique_id"], *sources]:
        for child in manifest["child_map"][tested]:
            if child.startswith("test."):
                for parent in manifest["nodes"][child]["depends_on"]["nodes"]:
                    if parent.startswith("seed."):
                        yield manifest["nodes"][parent]


def build_dbt_assets(
    title: Title, manifest: Node, partitions: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    """All daily models of the title, in one step: one dbt invocation per run."""
    translator = TitleTranslator(title)

    @dbt_assets(
        manifest=manifest,
        select="tag:title,resource_type:model",
        name=f"{title.name}_dbt",
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=translator,
    )
    def models(context: dg.AssetExecutionContext, warehouse: Warehouse):  # type: ignore[no-untyped-def]
        yield from _build(context, warehouse, manifest, translator, run_window(context))

    return models


def build_seed_assets(title: Title, manifest: Node) -> dg.AssetsDefinition:
    """The title's seeds. They change when somebody changes them, so no day and no job has them."""
    translator = TitleTranslator(title)

    @dbt_assets(
        manifest=manifest,
        select="tag:title,resource_type:seed",
        name=f"{title.name}_seeds",
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=translator,
    )
    def seeds(context: dg.AssetExecutionContext, warehouse: Warehouse):  # type: ignore[no-untyped-def]
        yield from _build(context, warehouse, manifest, translator, None)

    return seeds


def selected_nodes(context: dg.AssetExecutionContext, manifest: Node) -> list[Node]:
    """The manifest's nodes of the assets and checks that the run selected."""
    assets = context.assets_def
    ids = [
        *(assets.get_asset_spec(key).metadata[UNIQUE_ID] for key in context.selected_asset_keys),
        *(
            assets.get_spec_for_check_key(key).metadata[UNIQUE_ID]
            for key in context.selected_asset_check_keys
        ),
    ]
    return [manifest["nodes"][unique_id] for unique_id in sorted(ids)]


def _build(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    manifest: Node,
    translator: TitleTranslator,
    window: Window | None,
) -> Iterator[Any]:
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    title = translator.title
    nodes = selected_nodes(context, manifest)
    holder = f"dbt of {title.name} in run {context.run_id}"
    with told_in_one_line(), warehouse.leased(holder):
        with connect() as con:
            ensure_title_schemas(con, title.name)
            require_parents(con, manifest, translator, nodes)
        events = dbt_events(build_arguments(title, nodes), dbt_environment(title, window))
        result = None
        while result is None:
            try:
                event = next(events)
            except StopIteration as stop:
                result = stop.value
            else:
                yield from DbtCoreCliEventMessage(event, {}).to_default_asset_events(
                    manifest, translator, context
                )
        if line := failure_line(title, result):
            raise ClearFailure(line)
        if stray := stray_relations(title, result):
            raise ClearFailure(f"dbt built {', '.join(stray)}: outside the schemas of {title.name}")


def require_parents(
    con: duckdb.DuckDBPyConnection, manifest: Node, translator: TitleTranslator, nodes: list[Node]
) -> None:
    """Raises ClearFailure when a table that the nodes read, and do not build, was never built."""
    built = {
        f"{schema}.{table}"
        for schema, table in con.execute(
            "select table_schema, table_name from information_schema.tables"
        ).fetchall()
    }
    selected = {node["unique_id"] for node in nodes}
    for node in nodes:
        for parent in sorted(set(manifest["parent_map"][node["unique_id"]]) - selected):
            if not parent.startswith(("model.", "seed.")):
                continue
            relation = translator.relation(manifest["nodes"][parent])
            if relation not in built:
                key = translator.get_asset_key(manifest["nodes"][parent]).to_user_string()
                raise ClearFailure(
                    f"{node['name']} of {translator.title.name} needs {key}, which was never built:"
                    f" materialize {key} first"
                )
