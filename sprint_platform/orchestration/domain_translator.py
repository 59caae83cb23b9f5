"""How the dbt models of a domain from outside look in the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from sprint_platform.domain import Batches, Domain
from sprint_platform.orchestration.dbt_translator import DomainTranslator
from sprint_platform.orchestration.policies import FRESHNESS
from sprint_platform.transform.dbt_manifest import Node


class OutsideTranslator(DomainTranslator):
    """Names of a domain from outside, whose models are in a project of its own."""

    def __init__(self, domain: Domain) -> None:
        datasets = {dataset.table: dataset.name for dataset in domain.datasets}
        super().__init__(domain.ledger, datasets)
        self.domain = domain

    @property
    def project(self) -> Path:
        return self.domain.dbt_project

    def attributes(self, manifest: Node, node: Node, spec: dg.AssetSpec) -> dict[str, Any]:
        if isinstance(self.domain.periods, Batches):
            return {}
        return {"freshness_policy": FRESHNESS}
