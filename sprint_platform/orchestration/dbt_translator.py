"""How dbt's models, seeds and tests look in a title's part of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID
from dagster_dbt.asset_utils import default_description_fn

from sprint_platform.orchestration.catalogue import PRODUCTS_KEY
from sprint_platform.orchestration.dbt_manifest import (
    Node,
    dataset_of,
    is_source,
    tests_of,
    unread_sources,
)
from sprint_platform.orchestration.policies import FRESHNESS, OWNERS
from sprint_platform.orchestration.upstream import UPSTREAM
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title


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
            return dataset_of(node)
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
        if spec.key.path[-1] == "dim_products":
            return spec.merge_attributes(deps=[PRODUCTS_KEY])
        return spec

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Node, unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is not None and is_source(asset_spec.metadata[UNIQUE_ID]):
            # dbt itself holds back what stands on the source. Were Dagster to do it, heartbeats
            # would wait for dbt's test of the sessions, and dbt for the heartbeats: Dagster would
            # cut dbt's step in parts, each with an invocation of its own
            return spec._replace(blocking=False)
        return spec


def _tested_with(manifest: Node, model: Node) -> Iterator[Node]:
    """What must be there before the model's step for the tests that run in it: the seeds that tests
    of the model, or of its sources, read; and datasets that no model reads, but that its own are
    made from."""
    sources = [parent for parent in manifest["parent_map"][model["unique_id"]] if is_source(parent)]
    for tested in [model["unique_id"], *sources]:
        for test in tests_of(manifest, tested):
            for parent in manifest["parent_map"][test]:
                if parent.startswith("seed."):
                    yield manifest["nodes"][parent]
    made_from = {
        name for source in sources for name in UPSTREAM[dataset_of(manifest["sources"][source])]
    }
    for source in unread_sources(manifest):
        node = manifest["sources"][source]
        if dataset_of(node) in made_from:
            yield node
