"""How dbt's models, seeds and tests look in the graph, in every domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID
from dagster_dbt.asset_utils import default_description_fn

from sprint_platform.orchestration.code_references import code_references
from sprint_platform.orchestration.policies import OWNERS
from sprint_platform.places import dbt_project_dir
from sprint_platform.publish.marts import Mart
from sprint_platform.storage.ledger import Ledger, Model
from sprint_platform.transform.dbt_manifest import (
    Node,
    definitions_of,
    is_source,
    sources_of,
)


class ModelTranslator(DagsterDbtTranslator):
    """What all domains share. A domain names its assets, groups and relations."""

    def __init__(self) -> None:
        self._definitions: dict[str, str] = {}
        self._specs: dict[str, dg.AssetSpec] = {}
        super().__init__(
            DagsterDbtTranslatorSettings(
                enable_source_tests_as_checks=True,
                # the metadata would be the other titles' too
                enable_source_metadata=False,
            )
        )

    @property
    def ledger(self) -> Ledger:
        """The title's or domain's ledger."""
        raise NotImplementedError

    @property
    def tag(self) -> str:
        """The tag of the models, and of the ledger's domain: ``title``, ``eventlog``, …"""
        return self.ledger.name

    @property
    def schemas(self) -> set[str]:
        """The schemas that a run may build in."""
        return set(self.ledger.model_schemas)

    @property
    def project(self) -> Path:
        """The dbt project that the models are in."""
        return dbt_project_dir()

    def relation(self, node: Node) -> str:
        """The qualified name in the database."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """The variables of a dbt run that may define rows, whatever its window."""
        return {}

    def definition(self, manifest: Node, node: Node) -> str:
        """What defines the model's rows (``dbt_manifest.definitions_of``)."""
        if not self._definitions:
            nodes = self.model_nodes(manifest)
            self._definitions = definitions_of(manifest, nodes, self.environment())
        return self._definitions[node["unique_id"]]

    def models(self, manifest: Node) -> list[Model]:
        """All models, as the ledger knows them."""
        return [
            Model(
                _table(self.relation(node)),
                self.definition(manifest, node),
                frozenset(self.datasets(manifest, node)),
            )
            for node in self.model_nodes(manifest)
        ]

    def noted(self, manifest: Node) -> list[Model]:
        """The models whose notes the ledger may have, also those of another step of the title."""
        return self.models(manifest)

    def datasets(self, manifest: Node, node: Node) -> set[str]:
        """The datasets of its own domain that the model reads, however many models lie between."""
        return {
            str(source["config"]["meta"].get("dataset", source["identifier"]))
            for source in sources_of(manifest, node)
            if source["source_name"] != "store_title"
        }

    def marts(self, manifest: Node) -> list[Mart]:
        """The models that are published, and how, as their meta says."""
        marts = []
        for node in self.model_nodes(manifest):
            config, meta = node["config"], node["config"]["meta"]
            is_mart = _is_mart(config["schema"])
            if not is_mart and "published" not in meta:
                continue
            column, period = meta.get("period_column"), meta.get("period", "day")
            if "batch_column" in meta:
                column, period = meta["batch_column"], "batch"
            relation = self.relation(node)
            schema = f"{self.ledger.name}_mart" if is_mart else relation.split(".")[0]
            # a mart that is built whole is published whole
            if column is None or config["materialized"] != "incremental":
                marts.append(Mart(relation, schema))
            else:
                file = "month" if meta.get("published") == "month" else period
                marts.append(Mart(relation, schema, column, period, file))
        return marts

    def model_nodes(self, manifest: Node) -> list[Node]:
        """The nodes of the domain's models."""
        return [
            node
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model"
            and self.tag in node["tags"]
            # nothing is built of an ephemeral one
            and node["config"]["materialized"] != "ephemeral"
        ]

    def get_description(self, dbt_resource_props: Node) -> str:
        """The model's own words (its first comment says what a row is), and its SQL."""
        if dbt_resource_props.get("description"):
            return default_description_fn(dbt_resource_props)
        first = dbt_resource_props.get("raw_code", "").lstrip().split("\n")[0]
        grain = first.removeprefix("--").strip() if first.startswith("--") else ""
        return default_description_fn({**dbt_resource_props, "description": grain})

    def get_metadata(self, dbt_resource_props: Node) -> Mapping[str, Any]:
        code = [dbt_resource_props["original_file_path"]]
        # `sprint_dbt://models/title/mart/kpi_daily.yml`
        if described := dbt_resource_props.get("patch_path"):
            code.append(described.partition("://")[2])
        return {
            **super().get_metadata(dbt_resource_props),
            **code_references(*(self.project / path for path in code)),
            "dagster/table_name": self.relation(dbt_resource_props),
        }

    def get_asset_spec(
        self, manifest: Node, unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        # every node that reads it asks for this, and each of its tests
        known = self._specs.get(unique_id)
        if known is None:
            node = self.get_resource_props(manifest, unique_id)
            spec = super().get_asset_spec(manifest, unique_id, project)
            attributes = {"owners": OWNERS, **self.attributes(manifest, node, spec)}
            if node["resource_type"] == "model":
                # dbt's own is a digest of the SQL, without macros and a title's values
                attributes["code_version"] = self.definition(manifest, node)
            known = self._specs[unique_id] = spec.replace_attributes(**attributes)
        return known

    def attributes(self, manifest: Node, node: Node, spec: dg.AssetSpec) -> dict[str, Any]:
        """The attributes in which a domain's asset differs from ``spec``, which dagster-dbt
        made."""
        return {}

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Node, unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is not None and is_source(asset_spec.metadata[UNIQUE_ID]):
            # dbt itself stops what is downstream of the source. Were Dagster to do it, heartbeats
            # would wait for dbt's test of the sessions, and dbt for the heartbeats: Dagster would
            # cut dbt's step in parts, each with an invocation of its own
            return spec._replace(blocking=False)
        return spec


class DomainTranslator(ModelTranslator):
    """Names of a domain's tables and models: the domain's name before the table's,
    ``eventlog/raw_sessions``, ``eventlog/fct_sessions``; all in one group."""

    def __init__(self, ledger: Ledger, datasets: Mapping[str, str] | None = None) -> None:
        """``datasets`` are the datasets' names by table, where they differ."""
        super().__init__()
        self._ledger, self._datasets = ledger, datasets or {}

    @property
    def ledger(self) -> Ledger:
        return self._ledger

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        table = self.table(dbt_resource_props)
        return dg.AssetKey([self._ledger.name, self._datasets.get(table, table)])

    def get_group_name(self, dbt_resource_props: Node) -> str:
        return self._ledger.name

    def relation(self, node: Node) -> str:
        return f"{node['schema']}.{self.table(node)}"

    def table(self, node: Node) -> str:
        """The table's name without its schema."""
        return str(node["identifier"] if node["resource_type"] == "source" else node["alias"])


def _is_mart(schema: str) -> bool:
    """Whether the models of this schema are published, as dbt_project.yml has it; the macro
    ``record_built`` says the same."""
    return schema == "gold" or schema.endswith("mart")


def _table(relation: str) -> str:
    return relation.split(".")[1]
