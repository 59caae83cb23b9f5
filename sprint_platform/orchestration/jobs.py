"""The jobs: what runs together for a day, a landing or a batch."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from sprint_platform.eventlog.contracts import DOMAIN as EVENTLOG
from sprint_platform.orchestration.run_tags import domain_tags
from sprint_platform.storefront.contracts import DOMAIN as STOREFRONT
from sprint_platform.title import Title


def build_daily_job(
    title: Title, assets: Iterable[dg.AssetsDefinition]
) -> dg.UnresolvedAssetJobDefinition:
    """One day of everything that is daily: datasets, models, marts and their checks. The seeds are
    not in it: they change when somebody changes them."""
    description = f"One day of {title.name}: every dataset, model and check."
    return _job(f"{title.name}_daily", title.name, assets, description)


def build_landing_job(
    title: Title, assets: Iterable[dg.AssetsDefinition]
) -> dg.UnresolvedAssetJobDefinition:
    """What a landed title has without days: its files and products."""
    description = f"Lands the new files of {title.name}; the days that change are built apart."
    return _job(f"{title.name}_land", title.name, assets, description)


def build_reopened_job(
    title: Title, assets: Iterable[dg.AssetsDefinition]
) -> dg.UnresolvedAssetJobDefinition:
    """Days of a dirtied title that a later day's files changed: nothing is delivered for them."""
    description = f"Days of {title.name} that late files changed: every dataset and model."
    return _job(f"{title.name}_reopened", title.name, assets, description)


def build_storefront_job(assets: Iterable[dg.AssetsDefinition]) -> dg.UnresolvedAssetJobDefinition:
    """One day of the store: bronze tables, models and their checks."""
    description = "One day of the web store: bronze tables, models and checks."
    return _job(f"{STOREFRONT}_daily", STOREFRONT, assets, description)


def build_eventlog_job(assets: Iterable[dg.AssetsDefinition]) -> dg.UnresolvedAssetJobDefinition:
    """One batch of everything: raw tables, models and their checks. Batches come when they come:
    there is no schedule."""
    description = "One batch of the game event log: raw tables, models and checks."
    return _job("eventlog_batch", EVENTLOG, assets, description)


def _job(
    name: str, domain: str, assets: Iterable[dg.AssetsDefinition], description: str
) -> dg.UnresolvedAssetJobDefinition:
    """A job of a title or domain, whose runs carry its tag."""
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*assets),
        tags=domain_tags(domain),
        description=description,
    )
