"""A step that runs dbt: the selected nodes, one invocation, its results as Dagster's events."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID
from dagster_dbt.asset_utils import build_dbt_specs

from sprint_platform.core.errors import one_line
from sprint_platform.orchestration.dbt_translator import ModelTranslator
from sprint_platform.orchestration.failures import ClearFailure, failures_in_one_line
from sprint_platform.orchestration.glances import Seen, model_glance
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import Watch, run_window
from sprint_platform.publish.marts import publish
from sprint_platform.storage.ledger import Model
from sprint_platform.transform.dbt_manifest import Node, tests_of, unread_sources
from sprint_platform.transform.dbt_runner import (
    build_arguments,
    dbt_events,
    failure_line,
    stray_relations,
)

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult


def build_specs(
    translator: ModelTranslator, manifest: Node, select: str, exclude: str = ""
) -> tuple[Sequence[dg.AssetSpec], Sequence[dg.AssetCheckSpec]]:
    """The assets and checks of the nodes that dbt's selection finds in the manifest."""
    return build_dbt_specs(
        translator=translator,
        manifest=manifest,
        select=select,
        exclude=exclude,
        selector="",
        io_manager_key=None,
        project=None,
    )


def checks_of_unread_sources(
    translator: ModelTranslator, manifest: Node, domain: str
) -> Iterator[dg.AssetCheckSpec]:
    """The tests that dagster-dbt leaves out: those of the domain's sources that no model reads."""
    for source in unread_sources(manifest, domain):
        asset = translator.get_asset_spec(manifest, source, None)
        for test in tests_of(manifest, source):
            if spec := translator.get_asset_check_spec(asset, manifest, test, None):
                yield spec


def definitions_environment(models: Iterable[Model]) -> dict[str, str]:
    """The variable from which dbt notes in the ledger the definitions that it builds by."""
    definitions = {model.name: model.definition for model in models}
    return {"SPRINT_DEFINITIONS": json.dumps(definitions)}


# Opens DuckDB where it has the mart of that qualified name.
OpenMart = Callable[[str], AbstractContextManager[duckdb.DuckDBPyConnection]]


def publish_models(
    context: dg.AssetExecutionContext,
    con: duckdb.DuckDBPyConnection,
    translator: ModelTranslator,
    manifest: Node,
) -> None:
    """Publishes what the ledger says was built of the marts."""
    translator.ledger.forget_others(con, translator.noted(manifest))
    done = publish(con, translator.ledger, translator.marts(manifest))
    context.log.info(f"{done.written} files published")
    for mart, files in done.withheld.items():
        context.log.warning(
            f"{mart}: {len(files)} files are left as they were published ({files[0]} first): what"
            " was built for them did not pass its tests, or its run was stopped"
        )


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


# Checks that what the run's nodes read is there, and returns the environment of dbt's run.
Prepare = Callable[
    [dg.AssetExecutionContext, duckdb.DuckDBPyConnection, list[Node]], Mapping[str, str]
]


# Does a step's work on Spark, and yields its events.
OnSpark = Callable[[dg.AssetExecutionContext, Warehouse, str, list[Node]], Iterator[Any]]


def build_models_step(
    translator: ModelTranslator,
    manifest: Node,
    partitions: dg.PartitionsDefinition | None,
    prepare: Prepare,
    *,
    what: str = "models",
    exclude: str = "",
    name: str | None = None,
    more_checks: Iterable[dg.AssetCheckSpec] = (),
    watch: Watch | None = None,
    on_spark: OnSpark | None = None,
) -> dg.AssetsDefinition:
    """All models (or ``seeds``) of a title or domain in one step, which is one dbt invocation per
    run, with their tests and those of the datasets that they read. ``name`` is the step's, where it
    is not the usual one. ``watch`` is called with each result: ("<name>/dbt", the run's first day,
    1). ``on_spark`` does the step's work where the models are not DuckDB's."""
    whose = translator.ledger.name
    kind = what.removesuffix("s")
    specs, check_specs = build_specs(
        translator, manifest, f"tag:{translator.tag},resource_type:{kind}", exclude
    )

    # like dagster-dbt's @dbt_assets, but with the tests of a dataset that no model reads
    @dg.multi_asset(
        name=name or (f"{whose}_dbt" if what == "models" else f"{whose}_{what}"),
        specs=specs,
        check_specs=[*check_specs, *more_checks],
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        allow_arbitrary_check_specs=what == "models",
    )
    def step(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
        nodes = selected_nodes(context, manifest)
        holder = f"dbt of {whose} in run {context.run.run_id}"
        if on_spark is not None:
            with failures_in_one_line():
                yield from on_spark(context, warehouse, holder, nodes)
            return
        with failures_in_one_line(), warehouse.get_connection(holder) as con:
            environment = prepare(context, con, nodes)
            yield from run_dbt(context, con, manifest, translator, nodes, environment, watch)

    return step


def run_dbt(
    context: dg.AssetExecutionContext,
    con: duckdb.DuckDBPyConnection,
    manifest: Node,
    translator: ModelTranslator,
    nodes: list[Node],
    environment: Mapping[str, str],
    watch: Watch | None = None,
) -> Iterator[Any]:
    """Builds and tests the nodes in one invocation, and yields each result as it comes. Then
    publishes what was built. ``con`` is the warehouse, under the lease; it stays open beside dbt's
    own connections.

    Raises ClearFailure where something failed, or was built outside the translator's schemas.
    """
    environment = {**environment, **definitions_environment(translator.models(manifest))}
    result = yield from build_nodes(context, manifest, translator, nodes, environment, watch)
    if any(node["resource_type"] == "model" for node in nodes):
        # also after a failure: what succeeded
        publish_models(context, con, translator, manifest)
    if line := failure_line(translator.ledger.name, result):
        raise ClearFailure(line)


def build_nodes(
    context: dg.AssetExecutionContext,
    manifest: Node,
    translator: ModelTranslator,
    nodes: list[Node],
    environment: Mapping[str, str],
    watch: Watch | None = None,
    open_mart: OpenMart | None = None,
) -> Generator[Any, None, "dbtRunnerResult"]:
    """Builds and tests the nodes in one invocation, yields each result as it comes, and returns
    dbt's. The last day of a run over days has a picture and some rows of each mart, read through
    ``open_mart``, or else over dbt's own connection.

    Raises ClearFailure where something was built outside the translator's schemas.
    """
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    name = translator.ledger.name
    window = None if translator.ledger.batches else run_window(context)
    day = window.days[-1] if window else None
    glances = _Glances(translator, nodes, day, open_mart or _over_dbts_connection)
    arguments = build_arguments(name, manifest, nodes, translator.project)
    # closed before the lease ends, whatever happens: dbt may still be building
    with closing(dbt_events(arguments, environment, glances.read)) as events:
        result = None
        while result is None:
            try:
                event = next(events)
            except StopIteration as stop:
                result = stop.value
            else:
                if watch and window:
                    watch(f"{name}/dbt", window.start, 1)
                glances.add_to(context, event)
                for made in DbtCoreCliEventMessage(event, {}).to_default_asset_events(
                    manifest, translator, context
                ):
                    if isinstance(made, dg.AssetCheckResult) and event["wrong_rows"]:
                        yield made._replace(description=event["wrong_rows"])
                    else:
                        yield made
    if stray := stray_relations(translator.schemas, result):
        raise ClearFailure(f"dbt built {', '.join(stray)}: outside the schemas of {name}")
    return result


@contextmanager
def _over_dbts_connection(relation: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """dbt holds the database until it ends, and DuckDB refuses a second connection with other
    settings: so a mart is read over dbt's own, in dbt's thread, before anything closes it."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    with closing(DuckDBConnectionManager.env().handle()) as handle:
        yield handle.cursor()


class _Glances:
    """Pictures and rows of the marts: read as soon as each is built, added to its event."""

    def __init__(
        self,
        translator: ModelTranslator,
        nodes: list[Node],
        day: date | None,
        open_mart: OpenMart,
    ) -> None:
        self._day, self._open_mart = day, open_mart
        self._keys = {node["unique_id"]: translator.get_asset_key(node) for node in nodes}
        self._glances = {}
        # by model; the error text where something was wrong
        self._seen: dict[str, Seen | str] = {}
        for node in nodes if day else []:
            if node["resource_type"] != "model" or node["config"]["schema"] != "mart":
                continue
            try:
                glance = model_glance(translator.relation(node), node)
            except ValueError as error:
                self._seen[node["unique_id"]] = str(error)
            else:
                if glance:
                    self._glances[node["unique_id"]] = glance

    def read(self, event: Mapping[str, Any]) -> None:
        """Reads the model that the event says was built."""
        node = event["data"]["node_info"]
        glance = self._glances.get(node["unique_id"])
        if glance is None or self._day is None or node["node_status"] != "success":
            return
        try:
            with self._open_mart(glance.relation) as con:
                seen = glance.read(con, self._day)
        except duckdb.Error as error:
            self._seen[node["unique_id"]] = f"{glance.relation}: {one_line(error)}"
        else:
            if seen:
                self._seen[node["unique_id"]] = seen

    def add_to(self, context: dg.AssetExecutionContext, event: Mapping[str, Any]) -> None:
        """Adds what was read to the materialization that follows from the event. A picture that
        cannot be read is logged and stops nothing: the mart is right."""
        unique_id = event["data"]["node_info"]["unique_id"]
        seen = self._seen.pop(unique_id, None)
        if isinstance(seen, str):
            context.log.warning(f"nothing is shown of a mart: {seen}")
        elif seen is not None and self._day is not None:
            metadata = self._glances[unique_id].metadata(seen, self._day)
            key = self._keys[unique_id]
            context.add_asset_metadata(metadata, key, partition_key=self._day.isoformat())
