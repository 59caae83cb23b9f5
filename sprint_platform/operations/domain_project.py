"""Whether the dbt project of a domain from outside goes with its datasets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sprint_platform.domain import Batches, Domain, DomainError
from sprint_platform.transform.dbt_manifest import Node


def check_project(domain: Domain, manifest: Node) -> None:
    """Raises DomainError, naming the node and what it lacks, where the parsed project would build
    elsewhere, or would not be noted as built: its days would be missing for ever."""
    for problem in _problems(domain, manifest):
        raise DomainError(f"the dbt project of {domain.name} in {domain.dbt_project}: {problem}")


def _problems(domain: Domain, manifest: Node) -> Iterator[str]:
    nodes: list[dict[str, Any]] = list(manifest["nodes"].values())
    tables = {dataset.relation(domain.name): dataset for dataset in domain.datasets}
    for source in manifest["sources"].values():
        relation = f"{source['schema']}.{source['identifier']}"
        if relation not in tables:
            yield f"the source {relation} is none of its datasets ({', '.join(tables)})"
        elif source["config"]["meta"].get("dataset", source["identifier"]) != tables[relation].name:
            yield f"the source {relation} needs meta: {{dataset: {tables[relation].name}}}"
    for node in nodes:
        name, config = node["name"], node["config"]
        if node["resource_type"] in ("seed", "snapshot"):
            yield f"{name} is a {node['resource_type']}, which no run builds"
        if node["resource_type"] != "model":
            continue
        if node["alias"] in {dataset.name for dataset in domain.datasets}:
            yield f"the model {name} has the name of a dataset"
        if domain.name not in node["tags"]:
            yield f"the model {name} needs the tag {domain.name} (+tags: [{domain.name}])"
        if config["materialized"] == "ephemeral":
            continue
        if node["schema"] not in domain.ledger.model_schemas:
            schemas = " or ".join(domain.ledger.model_schemas)
            yield f"the model {name} lies in {node['schema']}, not in {schemas} (+schema)"
        wanted = {"ledger": domain.ledger.schema}
        if isinstance(domain.periods, Batches):
            wanted["batches"] = "true"
        if config["meta"].get("ledger") != domain.ledger.schema or bool(
            config["meta"].get("batches")
        ) != isinstance(domain.periods, Batches):
            meta = ", ".join(f"{key}: {value}" for key, value in wanted.items())
            yield f"the model {name} needs +meta: {{{meta}}}"
        if not any("record_built" in hook["sql"] for hook in config["post-hook"]):
            yield f'the model {name} needs +post-hook: "{{{{ record_built() }}}}"'
    if not any(
        node["resource_type"] == "operation" and "settle_built" in node["raw_code"]
        for node in nodes
    ):
        yield 'it needs on-run-end: "{{ settle_built(results) }}"'
