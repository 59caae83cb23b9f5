"""A step that runs dbt: the selected nodes, one invocation, its results as Dagster's events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import dagster as dg
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID
from dagster_dbt.asset_utils import build_dbt_specs

from sprint_platform.orchestration.dbt_manifest import Node, tests_of, unread_sources
from sprint_platform.orchestration.dbt_runner import (
    build_arguments,
    dbt_events,
    failure_line,
    stray_relations,
)
from sprint_platform.orchestration.dbt_translator import ModelTranslator
from sprint_platform.orchestration.failures import ClearFailure


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
    """The tests that dagster-dbt forgets: those of the domain's sources that no model reads."""
    for source in unread_sources(manifest, domain):
        asset = translator.get_asset_spec(manifest, source, None)
        for test in tests_of(manifest, source):
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


def run_dbt(
    context: dg.AssetExecutionContext,
    manifest: Node,
    translator: ModelTranslator,
    name: str,
    nodes: list[Node],
    environment: Mapping[str, str],
    schemas: Collection[str],
    hear: Callable[[], None] | None = None,
) -> Iterator[Any]:
    """Builds and tests the nodes in one invocation, and yields each result as it comes; ``hear`` is
    told of each, too. The lease is the caller's.

    Raises ClearFailure where something failed, or was built outside ``schemas``.
    """
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    # closed before the lease ends, whatever happens: dbt may still be building
    with closing(dbt_events(build_arguments(name, nodes), environment)) as events:
        result = None
        while result is None:
            try:
                event = next(events)
            except StopIteration as stop:
                result = stop.value
            else:
                if hear:
                    hear()
                yield from DbtCoreCliEventMessage(event, {}).to_default_asset_events(
                    manifest, translator, context
                )
    if line := failure_line(name, result):
        raise ClearFailure(line)
    if stray := stray_relations(schemas, result):
        raise ClearFailure(f"dbt built {', '.join(stray)}: outside the schemas of {name}")
