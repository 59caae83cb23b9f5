"""A title's dbt models and seeds as assets, dbt's tests as their checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
from dagster_dbt import DbtProject

from sprint_platform.core.locks import hold
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.engines.spark_engine import spark_lock
from sprint_platform.engines.spark_session import on_spark, spark_session
from sprint_platform.operations.seconds_columns import fit_seconds
from sprint_platform.operations.upstream import require_loaded
from sprint_platform.orchestration.catalogue import PRODUCTS_KEY
from sprint_platform.orchestration.dbt_step import (
    build_models_step,
    build_nodes,
    checks_of_unread_sources,
    definitions_environment,
    publish_models,
)
from sprint_platform.orchestration.dbt_translator import ModelTranslator
from sprint_platform.orchestration.failures import ClearFailure
from sprint_platform.orchestration.policies import FRESHNESS
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import Watch, run_window
from sprint_platform.publish.marts import existing_relations
from sprint_platform.storage.ledger import Ledger, Model, title_ledger
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import (
    Node,
    dataset_of,
    datasets_of,
    domain_of,
    is_source,
    tests_of,
    unread_sources,
)
from sprint_platform.transform.dbt_runner import (
    build_arguments,
    dbt_environment,
    dbt_result,
    failure_line,
    spark_environment,
    title_schemas,
)
from sprint_platform.transform.spark_build import (
    SparkModel,
    note_results,
    register,
    unregistered_views,
)

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

# The tag of a title's weekly models (weekly_models.py), which are in no run of a day.
WEEKLY_TAG = "title_ml"


class TitleTranslator(ModelTranslator):
    """Names of one title for a manifest that was parsed for none."""

    def __init__(self, title: Title) -> None:
        super().__init__()
        self.title = title

    @property
    def ledger(self) -> Ledger:
        return title_ledger(self.title.name)

    @property
    def tag(self) -> str:
        return "title"

    @property
    def schemas(self) -> set[str]:
        return title_schemas(self.title.name)

    def noted(self, manifest: Node) -> list[Model]:
        """Those of the days' step and of the weekly one: neither forgets what the other notes."""
        return [
            Model(self.table(node), "", frozenset(self.datasets(manifest, node)))
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and {"title", WEEKLY_TAG}.intersection(node["tags"])
        ]

    def environment(self) -> Mapping[str, str]:
        return dbt_environment(self.title, None)

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Node, unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        # a weekly model's tests may read a dataset, and run in the weekly step
        if (domain_of(manifest["nodes"][unique_id]) == WEEKLY_TAG) != (self.tag == WEEKLY_TAG):
            return None
        return super().get_asset_check_spec(asset_spec, manifest, unique_id, project)

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        """``sprint/heartbeats`` for a dataset, ``leap/stage_conflicts`` for a model."""
        return dg.AssetKey([self.title.name, self.table(dbt_resource_props)])

    def table(self, node: Node) -> str:
        """The dataset's name for a source, else the table's name in this title."""
        if node["resource_type"] == "source":
            return dataset_of(node)
        if node["resource_type"] == "model":
            return str(node["alias"]).replace("encounter", self.title.encounters.word)
        return str(node["alias"])

    def get_group_name(self, dbt_resource_props: Node) -> str:
        """``sprint_stage``, by the schema; for a model whose meta names a ``group`` by that:
        ``sprint_money``, ``leap_conflicts``."""
        group = dbt_resource_props["config"]["meta"].get("group")
        if group is None:
            return self._schema(dbt_resource_props)
        return f"{self.title.name}_{group.replace('encounter', self.title.encounters.word)}"

    def relation(self, node: Node) -> str:
        """The qualified name in the database."""
        if node["resource_type"] == "source":
            return DATASETS[self.table(node)].relation(self.title.name)
        return f"{self._schema(node)}.{self.table(node)}"

    def _schema(self, node: Node) -> str:
        if node["resource_type"] == "source":
            return DATASETS[self.table(node)].schema_name(self.title.name)
        return f"{self.title.name}_{node['config']['schema']}"

    def attributes(self, manifest: Node, node: Node, spec: dg.AssetSpec) -> dict[str, Any]:
        if node["resource_type"] == "model":
            known = {dep.asset_key for dep in spec.deps}
            tested = {self.get_asset_key(other) for other in _tested_with(manifest, node)}
            return {"freshness_policy": FRESHNESS, "deps": [*spec.deps, *sorted(tested - known)]}
        if spec.key.path[-1] == "dim_products":
            return {"deps": [*spec.deps, PRODUCTS_KEY]}
        return {}


def _tested_with(manifest: Node, model: Node) -> Iterator[Node]:
    """The nodes that must exist before the model's step for the tests that run in it: the seeds
    that tests of the model, or of its sources, read; and the datasets that no model reads, but that
    its own are made from."""
    sources = [parent for parent in manifest["parent_map"][model["unique_id"]] if is_source(parent)]
    for tested in [model["unique_id"], *sources]:
        for test in tests_of(manifest, tested):
            for parent in manifest["parent_map"][test]:
                if parent.startswith("seed."):
                    yield manifest["nodes"][parent]
    made_from = {
        name
        for source in sources
        for name in DATASETS[dataset_of(manifest["sources"][source])].upstream
    }
    for source in unread_sources(manifest, "title"):
        node = manifest["sources"][source]
        if dataset_of(node) in made_from:
            yield node


def build_title_models(
    title: Title,
    manifest: Node,
    partitions: dg.PartitionsDefinition,
    watch: Watch | None = None,
) -> dg.AssetsDefinition:
    """All daily models of the title, with the tests of the models and of the datasets."""
    translator = TitleTranslator(title)
    return build_models_step(
        translator,
        manifest,
        partitions,
        partial(prepare_title, manifest, translator),
        more_checks=checks_of_unread_sources(translator, manifest, "title"),
        watch=watch,
        on_spark=partial(_build_on_spark, manifest, translator, watch) if on_spark() else None,
    )


def build_seed_assets(title: Title, manifest: Node) -> dg.AssetsDefinition:
    """The title's seeds. They change by hand only, so they have no day and no job. A landed title's
    products are landed: it has no seed for the catalogue."""
    translator = TitleTranslator(title)
    excluded = "dim_products" if title.source == "landing" else ""
    prepare = partial(prepare_title, manifest, translator)
    return build_models_step(
        translator,
        manifest,
        None,
        prepare,
        what="seeds",
        exclude=excluded,
        on_spark=partial(_build_on_spark, manifest, translator, None) if on_spark() else None,
    )


def _build_on_spark(
    manifest: Node,
    translator: TitleTranslator,
    watch: Watch | None,
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    holder: str,
    nodes: list[Node],
) -> Iterator[Any]:
    """Builds and tests the nodes on Spark; notes in DuckDB what was built, and publishes it from
    there. The DuckDB file is open before and after, and not while Spark works."""
    title, ledger, window = translator.title, translator.ledger, run_window(context)
    known = spark_models(manifest, translator)
    chosen = {node["unique_id"] for node in nodes}
    to_build = [model for model in known if model.node["unique_id"] in chosen]
    with hold(spark_lock(title.name), holder):
        spark_session()
        with warehouse.get_connection(holder) as con:
            environment = _require_days(manifest, translator, context, con, nodes)
            environment |= {
                **spark_environment(),
                **definitions_environment(translator.models(manifest)),
            }
            register(con, title, ledger, known, to_build, window)
            if missing := [
                *missing_parents(con, manifest, translator, nodes),
                *unregistered_views(known, chosen),
            ]:
                result = _build_first(context, translator, manifest, missing, environment)
                note_results(con, title, ledger, known, result, window)
        relations = {model.relation: model for model in known}

        @contextmanager
        def open_mart(relation: str) -> Iterator[duckdb.DuckDBPyConnection]:
            table = relations[relation].table
            assert table is not None
            with duckdb.connect() as con:
                table.show_in_duckdb(con)
                yield con

        result = yield from build_nodes(
            context, manifest, translator, nodes, environment, watch, open_mart
        )
        with warehouse.get_connection(holder) as con:
            note_results(con, title, ledger, to_build, result, window)
            if any(node["resource_type"] == "model" for node in nodes):
                # also after a failure: what succeeded
                publish_models(context, con, translator, manifest)
    if line := failure_line(title.name, result):
        raise ClearFailure(line)


def spark_models(manifest: Node, translator: TitleTranslator) -> list[SparkModel]:
    """The title's models and seeds, as Spark and the ledger know them."""
    nodes = translator.model_nodes(manifest)
    models = [
        SparkModel(node, translator.relation(node), noted)
        for node, noted in zip(nodes, translator.models(manifest), strict=True)
    ]
    seeds = [node for node in manifest["nodes"].values() if node["resource_type"] == "seed"]
    return [*models, *(SparkModel(seed, translator.relation(seed), None) for seed in seeds)]


def prepare_title(
    manifest: Node,
    translator: TitleTranslator,
    context: dg.AssetExecutionContext,
    con: duckdb.DuckDBPyConnection,
    nodes: list[Node],
) -> dict[str, str]:
    """Checks that what the nodes of the title read is there, builds seeds that are not, and returns
    dbt's environment. Raises PartitionError or ClearFailure, naming what to materialize first."""
    environment = _require_days(manifest, translator, context, con, nodes)
    if seeds := missing_parents(con, manifest, translator, nodes):
        _build_first(context, translator, manifest, seeds, dbt_environment(translator.title, None))
    return environment


def _require_days(
    manifest: Node,
    translator: TitleTranslator,
    context: dg.AssetExecutionContext,
    con: duckdb.DuckDBPyConnection,
    nodes: list[Node],
) -> dict[str, str]:
    title, window = translator.title, run_window(context)
    models = [node for node in nodes if node["resource_type"] == "model"]
    ensure_title_schemas(con, title.name)
    if title.source == "landing":
        # a test reads it; where no products were landed it is empty
        con.execute(DATASETS["products"].create_table_sql(title.name))
    if models and (line := fit_seconds(con, title)):
        context.log.warning(line)
    if window:
        tables = {translator.table(node): datasets_of(manifest, node) for node in models}
        require_loaded(con, title, tables, window)
    return dbt_environment(title, window)


def missing_parents(
    con: duckdb.DuckDBPyConnection, manifest: Node, translator: TitleTranslator, nodes: list[Node]
) -> list[Node]:
    """The seeds that the nodes read, do not build, and that were never built. Raises ClearFailure
    where a model is missing: its days are a person's choice."""
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


def _build_first(
    context: dg.AssetExecutionContext,
    translator: TitleTranslator,
    manifest: Node,
    nodes: list[Node],
    environment: Mapping[str, str],
) -> dbtRunnerResult:
    """Builds seeds that a title's first daily run needs: they are in no daily job, and the schedule
    of a new title must not fail for them; on Spark also the views that a session does not know.
    The caller has the warehouse open."""
    title = translator.title
    result = dbt_result(build_arguments(title.name, manifest, nodes), environment)
    if line := failure_line(title.name, result):
        raise ClearFailure(line)
    for node in nodes:
        if node["resource_type"] == "seed":
            context.log_event(
                dg.AssetMaterialization(
                    translator.get_asset_key(node),
                    metadata={"made_for": "the title's first models"},
                )
            )
    return result
