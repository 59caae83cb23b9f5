"""The tags of runs: by which people and the dashboard find them, and which say their partitions."""

from __future__ import annotations

from collections.abc import Mapping

from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from sprint_platform.core.window import span
from sprint_platform.storage.partitions import Period

TITLE_TAG = "sprint/title"
DOMAIN_TAG = "sprint/domain"
DAYS_TAG = "sprint/days"
# A run with this tag reuses partitions that exist and come from the same source, and only loads
# them.
EXISTING_TAG, REUSE = "sprint/existing", "reuse"


def title_tags(title: str) -> dict[str, str]:
    """``sprint/title``."""
    return {TITLE_TAG: title}


def domain_tags(domain: str) -> dict[str, str]:
    """``sprint/domain``: of the event log, the store, and domains from outside."""
    return {DOMAIN_TAG: domain}


def existing_tags(reuse: bool) -> dict[str, str]:
    """``sprint/existing``: whether partitions that exist are reused, or made again."""
    return {EXISTING_TAG: REUSE if reuse else "regenerate"}


def days_tags(first: Period, last: Period) -> dict[str, str]:
    """``sprint/days``, as in "2025-01-01 to 2025-01-07"; of a domain of batches their numbers."""
    return {DAYS_TAG: span(first, last)}


def range_tags(first: Period, last: Period) -> dict[str, str]:
    """``days_tags``, and those that make a run of a partitioned job one over the whole range."""
    return {
        **days_tags(first, last),
        ASSET_PARTITION_RANGE_START_TAG: str(first),
        ASSET_PARTITION_RANGE_END_TAG: str(last),
    }


def partitions_of(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """The first and last partition of a run with these tags; None where it has none."""
    alone = tags.get(PARTITION_NAME_TAG)
    first = tags.get(ASSET_PARTITION_RANGE_START_TAG, alone)
    last = tags.get(ASSET_PARTITION_RANGE_END_TAG, alone)
    return (first, last) if first and last else None
