"""A title's dbt models and seeds as assets, dbt's tests as their checks."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID
from dagster_dbt.asset_utils import build_dbt_specs, default_description_fn

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
from sprint_platform.orchestration.raw_assets import Watch
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.upstream import UPSTREAM, require
from sprint_platform.orchestration.window import Window, run_window
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform.warehouse.database import connect
from sprint_platform.warehouse.load import ensure_title_schemas
from sprint_platform.warehouse.publish import publish

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
            known = {dep.asset_key for dep in spec.deps}
            tested = {self.get_asset_key(other) for other in _tested_with(manifest, node)}
            return spec.replace_attributes(
                freshness_policy=FRESHNESS, deps=[*spec.deps, *sorted(tested - known)]
            )
        if spec.key.path[-1] == "dim_products" and self.title.source == "simulated":
            return spec.merge_attributes(deps=[PRODUCTS_KEY])
        return spec

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Node, unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is not None and _is_source(asset_spec.metadata[UNIQUE_ID]):
            # dbt itself holds back what stands on the source. Were Dagster to do it, heartbeats
            # would wait for dbt's test of the sessions, and dbt for the heartbeats: Dagster would
            # cut dbt's step in parts, each with an invocation of its own
            return spec._replace(blocking=False)
        return spec


def _tested_with(manifest: Node, model: Node) -> Iterator[Node]:
    """What must be there before the model's step for the tests that run in it: the seeds that tests
    of the model, or of its sources, read; and datasets that no model reads, but that its own are
    made from."""
    sources = [
        parent for parent in manifest["parent_map"][model["unique_id"]] if _is_source(parent)
    ]
    for tested in [model["unique_id"], *sources]:
        for test in _tests(manifest, tested):
            for parent in manifest["parent_map"][test]:
                if parent.startswith("seed."):
                    yield manifest["nodes"][parent]
    made_from = {name for source in sources for name in UPSTREAM[_dataset(manifest, source)]}
    for source in _unread_sources(manifest):
        if _dataset(manifest, source) in made_from:
            yield manifest["sources"][source]


def _is_source(unique_id: str) -> bool:
    return unique_id.startswith("source.")


def _tests(manifest: Node, unique_id: str) -> list[str]:
    return [child for child in manifest["child_map"][unique_id] if child.startswith("test.")]


def _dataset(manifest: Node, source: str) -> str:
    return DATASET_OF_TABLE[manifest["sources"][source]["identifier"]]


def _unread_sources(manifest: Node) -> list[str]:
    """Sources that have tests and no model."""
    return [
        source
        for source in manifest["sources"]
        if _tests(manifest, source)
        and not any(child.startswith("model.") for child in manifest["child_map"][source])
    ]


def build_dbt_assets(
    title: Title,
    manifest: Node,
    partitions: dg.PartitionsDefinition,
    watch: Watch | None = None,
) -> dg.AssetsDefinition:
    """All daily models of the title in one step, which is one dbt invocation per run; with the
    tests of the models and of the datasets."""
    translator = TitleTranslator(title)
    specs, check_specs = _specs(translator, manifest, "tag:title,resource_type:model")

    # dagster-dbt's @dbt_assets, but that it forgets the tests of a dataset that no model reads
    @dg.multi_asset(
        name=f"{title.name}_dbt",
        specs=specs,
        check_specs=[*check_specs, *_checks_of_unread_sources(translator, manifest)],
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        allow_arbitrary_check_specs=True,
    )
    def models(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
        yield from _build(context, warehouse, manifest, translator, run_window(context), watch)

    return models


def build_seed_assets(title: Title, manifest: Node) -> dg.AssetsDefinition:
    """The title's seeds. They change when somebody changes them, so no day and no job has them."""
    translator = TitleTranslator(title)
    specs, check_specs = _specs(translator, manifest, "tag:title,resource_type:seed")

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


def _specs(
    translator: TitleTranslator, manifest: Node, select: str
) -> tuple[Sequence[dg.AssetSpec], Sequence[dg.AssetCheckSpec]]:
    return build_dbt_specs(
        translator=translator,
        manifest=manifest,
        select=select,
        exclude="",
        selector="",
        io_manager_key=None,
        project=None,
    )


def _checks_of_unread_sources(
    translator: TitleTranslator, manifest: Node
) -> Iterator[dg.AssetCheckSpec]:
    for source in _unread_sources(manifest):
        asset = translator.get_asset_spec(manifest, source, None)
        for test in _tests(manifest, source):
            if spec := translator.get_asset_check_spec(asset, manifest, test, None):
                yield spec


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
    watch: Watch | None = None,
) -> Iterator[Any]:
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    title = translator.title
    nodes = selected_nodes(context, manifest)
    holder = f"dbt of {title.name} in run {context.run.run_id}"
    with told_in_one_line(), warehouse.leased(holder):
        if window:
            for node in nodes:
                if node["resource_type"] == "model":
                    require(title, translator.table(node), _datasets(manifest, node), window)
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
                if watch and window:
                    watch(f"{title.name}/dbt", window.start, 1)
                yield from DbtCoreCliEventMessage(event, {}).to_default_asset_events(
                    manifest, translator, context
                )
        if line := failure_line(title, result):
            raise ClearFailure(line)
        if stray := stray_relations(title, result):
            raise ClearFailure(f"dbt built {', '.join(stray)}: outside the schemas of {title.name}")
        marts = [translator.relation(node) for node in nodes if node["config"]["schema"] == "mart"]
        if marts and window:
            with connect() as con:
                written = publish(con, title.name, marts, (window.start, window.end))
            context.log.info(f"{written} files of {len(marts)} marts published")


def _datasets(manifest: Node, node: Node) -> list[str]:
    """The datasets that a model reads, however many models lie between."""
    found, waiting = set(), [node["unique_id"]]
    while waiting:
        for parent in manifest["parent_map"][waiting.pop()]:
            waiting.append(parent)
            if _is_source(parent):
                found.add(_dataset(manifest, parent))
    return sorted(found)


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
