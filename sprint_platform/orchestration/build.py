"""The definitions: every title's part of the graph, in a loop."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from sprint_platform.orchestration.catalogue import build_catalogue_asset
from sprint_platform.orchestration.dbt_assets import build_dbt_assets, build_seed_assets
from sprint_platform.orchestration.dbt_manifest import graph_manifest
from sprint_platform.orchestration.policies import daily_partitions
from sprint_platform.orchestration.raw_assets import Watch, build_raw_assets
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.schedules import build_daily_job, build_daily_schedule
from sprint_platform.title import Title, TitleError, title_names


def build_definitions(
    titles: Iterable[Title] | None = None,
    warehouse: Warehouse | None = None,
    watch: Watch | None = None,
) -> dg.Definitions:
    """Assets, checks, jobs and schedules of the titles (without any: of all that have a YAML).

    ``watch`` hears of each chunk of rows that is made, and of each of dbt's results.
    """
    assets: list[dg.AssetsDefinition] = [build_catalogue_asset()]
    jobs, schedules = [], []
    manifest = graph_manifest()
    for title in loaded_titles() if titles is None else titles:
        partitions = daily_partitions(title)
        daily = [
            *build_raw_assets(title, partitions, watch),
            build_dbt_assets(title, manifest, partitions, watch),
        ]
        job = build_daily_job(title, daily)
        assets += [*daily, build_seed_assets(title, manifest)]
        jobs.append(job)
        schedules.append(build_daily_schedule(job))
    return dg.Definitions(
        assets=assets,
        jobs=jobs,
        schedules=schedules,
        resources={"warehouse": warehouse or Warehouse()},
        # with the default, multiprocess one, every step costs a Python process and its imports
        executor=dg.in_process_executor,
    )


def loaded_titles() -> list[Title]:
    """Every title whose YAML is right. A wrong one is told in one line and left out, so that a typo
    in one game does not stop the others' schedules."""
    titles = []
    for name in title_names():
        try:
            titles.append(Title.load(name))
        except TitleError as error:
            dg.get_dagster_logger().error(f"title {name} is left out: {error}")
    return titles
