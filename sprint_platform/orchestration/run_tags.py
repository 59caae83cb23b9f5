"""The tags by which a person, and the dashboard, finds the runs of a title or another domain."""

from __future__ import annotations

from sprint_platform.eventlog.contracts import DOMAIN as EVENTLOG
from sprint_platform.orchestration.window import Window
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
