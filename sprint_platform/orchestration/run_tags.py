"""The tags by which a person, and the dashboard, finds the runs of a title or another domain."""

from __future__ import annotations

from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from sprint_platform.core.window import Window
from sprint_platform.eventlog.contracts import DOMAIN as EVENTLOG
from sprint_platform.storefront.contracts import DOMAIN as STOREFRONT

TITLE_TAG = "sprint/title"
DOMAIN_TAG = "sprint/domain"
DAYS_TAG = "sprint/days"


def domain_tags(domain: str) -> dict[str, str]:
    """``sprint/title``, or ``sprint/domain`` for the event log and the store."""
    return {DOMAIN_TAG if domain in (EVENTLOG, STOREFRONT) else TITLE_TAG: domain}


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
