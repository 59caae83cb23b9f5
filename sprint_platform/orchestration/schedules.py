"""A title's daily job, and the schedule that runs it."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from sprint_platform.title import Title

# After midnight UTC, when a landed day's last sessions have been uploaded.
HOUR_UTC = 2


def build_daily_job(
    title: Title, assets: Iterable[dg.AssetsDefinition]
) -> dg.UnresolvedAssetJobDefinition:
    """One day of everything that is daily: datasets, models, marts and their checks. The seeds are
    not in it: they change when somebody changes them."""
    return dg.define_asset_job(
        f"{title.name}_daily",
        selection=dg.AssetSelection.assets(*assets),
        description=f"One day of {title.name}: every dataset, model and check.",
    )


def build_daily_schedule(
    job: dg.UnresolvedAssetJobDefinition,
) -> dg.UnresolvedPartitionedAssetScheduleDefinition | dg.ScheduleDefinition:
    """Runs the job for its latest partition, every day; switch it on in the UI."""
    return dg.build_schedule_from_partitioned_job(job, hour_of_day=HOUR_UTC)
