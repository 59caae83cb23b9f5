"""The jobs: what runs together for a day, a landing or a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dagster as dg

from sprint_platform.orchestration.run_tags import domain_tags, title_tags
from sprint_platform.title import Title


def build_daily_job(
    title: Title, assets: Iterable[dg.AssetsDefinition]
) -> dg.UnresolvedAssetJobDefinition:
    """One day of everything that is daily: datasets, models, marts and their checks. The seeds are
    not in it: they change by hand only."""
    description = f"One day of {title.name}: every dataset, model and check."
    return _job(f"{title.name}_daily", title_tags(title.name), assets, description)


def build_landing_job(
    title: Title, assets: Iterable[dg.AssetsDefinition]
) -> dg.UnresolvedAssetJobDefinition:
    """The assets of a landed title that have no days: its files and products."""
    description = f"Lands the new files of {title.name}; the days that change are built apart."
    return _job(f"{title.name}_land", title_tags(title.name), assets, description)


def build_reopened_job(
    title: Title, assets: Iterable[dg.AssetsDefinition]
) -> dg.UnresolvedAssetJobDefinition:
    """Days of a dirtied title that a later day's files changed; nothing is delivered for them."""
    description = f"Days of {title.name} that late files changed: every dataset and model."
    return _job(f"{title.name}_reopened", title_tags(title.name), assets, description)


def build_domain_job(
    domain: str, period: str, assets: Iterable[dg.AssetsDefinition], description: str
) -> dg.UnresolvedAssetJobDefinition:
    """One period (``daily``, ``batch``) of all assets of a domain. Batches have no schedule."""
    return _job(f"{domain}_{period}", domain_tags(domain), assets, description)


def _job(
    name: str, tags: Mapping[str, str], assets: Iterable[dg.AssetsDefinition], description: str
) -> dg.UnresolvedAssetJobDefinition:
    """A job whose runs carry the tags of its title or domain."""
    selection = dg.AssetSelection.assets(*assets)
    return dg.define_asset_job(name, selection=selection, tags=tags, description=description)
