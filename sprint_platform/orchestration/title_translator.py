"""How dbt's models, seeds and tests look in a title's part of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from sprint_platform.orchestration.catalogue import PRODUCTS_KEY
from sprint_platform.orchestration.dbt_translator import ModelTranslator
from sprint_platform.orchestration.policies import FRESHNESS
from sprint_platform.storage.ledger import Ledger, title_ledger
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import (
    Node,
    dataset_of,
    is_source,
    tests_of,
    unread_sources,
)
from sprint_platform.transform.dbt_runner import dbt_environment, title_schemas


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

    def environment(self) -> Mapping[str, str]:
        return dbt_environment(self.title, None)

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
