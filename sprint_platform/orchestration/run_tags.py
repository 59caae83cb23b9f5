"""The tags by which people and the dashboard find the runs of a title or another domain."""

from __future__ import annotations

from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from sprint_platform.core.window import Window

TITLE_TAG = "sprint/title"
DOMAIN_TAG = "sprint/domain"
DAYS_TAG = "sprint/days"


def title_tags(title: str) -> dict[str, str]:
    """``sprint/title``."""
    return {TITLE_TAG: title}


def domain_tags(domain: str) -> dict[str, str]:
    """``sprint/domain``: of the event log, the store, and domains from outside."""
    return {DOMAIN_TAG: domain}


def days_tags(window: Window) -> dict[str, str]:
    """``sprint/days``, as in "2025-01-01 to 2025-01-07"."""
    return {DAYS_TAG: str(window)}


def range_tags(window: Window) -> dict[str, str]:
    """``days_tags``, and those that make a run of a partitioned job one over the whole window."""
    return {
        **days_tags(window),
        ASSET_PARTITION_RANGE_START_TAG: window.days[0].isoformat(),
        ASSET_PARTITION_RANGE_END_TAG: window.days[-1].isoformat(),
    }
