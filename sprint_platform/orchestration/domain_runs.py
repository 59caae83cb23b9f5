"""Running a domain from outside from Python, as the command line does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from sprint_platform.domain import Domain
from sprint_platform.operations.domain_periods import stretches
from sprint_platform.orchestration.domain_definitions import build_domain_definitions
from sprint_platform.orchestration.raw_assets import EXISTING_TAG, REUSE
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_tags import DAYS_TAG, domain_tags
from sprint_platform.orchestration.runs import GraphRun, materialize
from sprint_platform.storage.partitions import Period


def run_domain(
    domain: Domain, periods: Sequence[Period], *, models_only: bool = False, reuse: bool = False
) -> Iterator[GraphRun]:
    """Runs the days or batches (ascending), a run for each stretch without gaps. With ``reuse``
    partitions of the same version are only loaded."""
    parts = build_domain_definitions(domain)
    definitions = dg.Definitions(assets=parts.assets, resources={"warehouse": Warehouse()})
    assets = [a for a in parts.assets or [] if isinstance(a, dg.AssetsDefinition)]
    selection = dg.AssetSelection.assets(*(assets[-1:] if models_only else assets))
    for first, last in stretches(domain, periods):
        tags = {
            **domain_tags(domain.name),
            DAYS_TAG: str(first) if first == last else f"{first} to {last}",
            ASSET_PARTITION_RANGE_START_TAG: str(first),
            ASSET_PARTITION_RANGE_END_TAG: str(last),
            EXISTING_TAG: REUSE if reuse else "regenerate",
        }
        yield materialize(definitions, f"{domain.name}_run", selection, tags)
