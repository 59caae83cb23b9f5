"""How dbt's models, seeds and tests look in the graph, whatever domain they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID
from dagster_dbt.asset_utils import default_description_fn

from sprint_platform.orchestration.dbt_manifest import Node, is_source
from sprint_platform.orchestration.policies import OWNERS


class ModelTranslator(DagsterDbtTranslator):
    """What all domains share. A domain says how its assets, groups and relations are called."""

    def __init__(self) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(
                enable_source_tests_as_checks=True,
                # it would be the other titles' too
                enable_source_metadata=False,
            )
        )

    def relation(self, node: Node) -> str:
        """The qualified name in the database."""
        raise NotImplementedError

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
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(owners=OWNERS)

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
