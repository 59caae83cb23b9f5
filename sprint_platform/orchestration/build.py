"""The definitions: every title's part of the graph, and that of every other domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import dagster as dg

from sprint_platform.domain import outside_domains
from sprint_platform.eventlog.contracts import DOMAIN as EVENTLOG
from sprint_platform.orchestration.catalogue import build_catalogue_asset
from sprint_platform.orchestration.domain_definitions import build_domain_definitions
from sprint_platform.orchestration.eventlog_assets import build_eventlog_assets
from sprint_platform.orchestration.eventlog_models import build_eventlog_models
from sprint_platform.orchestration.foresight_assets import build_foresight_assets
from sprint_platform.orchestration.landed_assets import OnLanded, build_landed_assets
from sprint_platform.orchestration.landing_sensor import build_landing_sensor
from sprint_platform.orchestration.policies import daily_partitions
from sprint_platform.orchestration.raw_assets import build_raw_assets, landed_files_key
from sprint_platform.orchestration.realism_report import build_realism_report
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_log import show_waits_in_run_log
from sprint_platform.orchestration.run_tags import domain_tags, title_tags
from sprint_platform.orchestration.run_window import Watch
from sprint_platform.orchestration.schedules import (
    build_job,
    build_storefront_schedule,
    build_title_schedule,
    build_weekly_schedule,
)
from sprint_platform.orchestration.storefront_assets import build_storefront_assets, opening_day
from sprint_platform.orchestration.storefront_models import (
    StorefrontTranslator,
    build_storefront_models,
)
from sprint_platform.orchestration.title_models import (
    TitleTranslator,
    build_seed_assets,
    build_title_models,
)
from sprint_platform.orchestration.truth_asset import build_truth_asset
from sprint_platform.orchestration.webhook_sensor import build_webhook_sensor
from sprint_platform.orchestration.weekly_models import WeeklyTranslator, build_weekly_models
from sprint_platform.storefront.contracts import DOMAIN as STOREFRONT
from sprint_platform.title import Title, valid_titles
from sprint_platform.transform.dbt_manifest import Node, graph_manifest


def build_definitions(
    titles: Iterable[Title] | None = None,
    warehouse: Warehouse | None = None,
    watch: Watch | None = None,
    on_landed: OnLanded | None = None,
) -> dg.Definitions:
    """Assets, checks, jobs, schedules and sensors of the titles; without ``titles`` of all that
    have a YAML, of the event log, of the store and of domains from outside.

    ``watch`` is called with each chunk of rows that is made, and each of dbt's results;
    ``on_landed`` with each landing's report.
    """
    manifest = graph_manifest()
    # a wait from here on is a step's; a wait for the manifest goes to stderr, as Python has it
    show_waits_in_run_log()
    parts = [
        _title_definitions(title, manifest, watch, on_landed)
        for title in (loaded_titles() if titles is None else titles)
    ]
    if titles is None:
        parts += [_eventlog_definitions(manifest), _storefront_definitions(manifest)]
        parts += _outside_definitions()
        if webhook := build_webhook_sensor():
            parts.append(dg.Definitions(sensors=[webhook]))
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[build_catalogue_asset()],
            resources={"warehouse": warehouse or Warehouse()},
            # with the default, the multiprocess one, every step costs a Python process and its
            # imports
            executor=dg.in_process_executor,
        ),
        *parts,
    )


def _title_definitions(
    title: Title, manifest: Node, watch: Watch | None, on_landed: OnLanded | None
) -> dg.Definitions:
    """A simulated title has a schedule, a title whose files a studio delivers has a sensor. A title
    whose simulated files are dirtied on purpose has both, as some records come with a later day."""
    partitions = daily_partitions(title.launch_date)
    models = build_title_models(title, manifest, partitions, watch)
    daily = [*build_raw_assets(title, partitions, watch), models]
    landing = build_landed_assets(title, partitions, watch, on_landed) if title.lands else []
    dirty = title.faults is not None
    tags = title_tags(title.name)
    job = build_job(
        f"{title.name}_daily",
        tags,
        [*(landing if dirty else []), *daily],
        # seeds change by hand only
        f"One day of {title.name}: every dataset, model and check.",
    )
    jobs, schedules, sensors = [job], [], []
    # in none of the jobs: it is made when somebody asks for it
    truth = [build_truth_asset(title, partitions)] if title.source == "simulated" else []
    if title.source == "simulated":
        built_models = partial(TitleTranslator(title).models, manifest)
        schedules.append(build_title_schedule(title, job, built_models))
    if title.lands:
        land = build_job(
            f"{title.name}_land",
            tags,
            [a for a in landing if a.key == landed_files_key(title) or not dirty],
            f"Lands the new files of {title.name}; the days that change are built apart.",
        )
        reopened = job
        if dirty:
            # nothing is delivered for days that a later day's files changed
            reopened = build_job(
                f"{title.name}_reopened",
                tags,
                daily,
                f"Days of {title.name} that late files changed: every dataset and model.",
            )
            jobs.append(reopened)
        jobs.append(land)
        sensors.append(build_landing_sensor(title, land, job, reopened, models.keys))
    weekly = [build_weekly_models(title, manifest, partitions), *build_foresight_assets(title)]
    weekly_job = build_job(
        f"{title.name}_weekly",
        tags,
        weekly,
        f"Whole weeks of {title.name}: what is known of players, models of what they do next, and"
        " whom to make an offer.",
    )
    jobs.append(weekly_job)
    schedules.append(
        build_weekly_schedule(
            title,
            weekly_job,
            partial(TitleTranslator(title).models, manifest),
            partial(WeeklyTranslator(title).models, manifest),
        )
    )
    return dg.Definitions(
        assets=[
            *daily,
            build_seed_assets(title, manifest),
            *landing,
            *truth,
            build_realism_report(title, manifest),
            *weekly,
        ],
        jobs=jobs,
        schedules=schedules,
        sensors=sensors,
    )


def _eventlog_definitions(manifest: Node) -> dg.Definitions:
    assets = [*build_eventlog_assets(), build_eventlog_models(manifest)]
    description = "One batch of the game event log: raw tables, models and checks."
    job = build_job(f"{EVENTLOG}_batch", domain_tags(EVENTLOG), assets, description)
    return dg.Definitions(assets=assets, jobs=[job])


def _storefront_definitions(manifest: Node) -> dg.Definitions:
    assets = [build_storefront_assets(), build_storefront_models(manifest)]
    description = "One day of the web store: bronze tables, models and checks."
    job = build_job(f"{STOREFRONT}_daily", domain_tags(STOREFRONT), assets, description)
    built_models = partial(StorefrontTranslator().models, manifest)
    schedule = build_storefront_schedule(job, opening_day(), built_models)
    return dg.Definitions(assets=assets, jobs=[job], schedules=[schedule])


def _outside_definitions() -> Iterator[dg.Definitions]:
    """The definitions of installed packages. A broken one is reported in one line and left out: it
    must not stop the others' schedules."""
    for domain in outside_domains():
        try:
            definitions = build_domain_definitions(domain)
        # a project of somebody else, which may fail in any way
        except Exception as error:  # noqa: BLE001
            dg.get_dagster_logger().error(f"the domain {domain.name} is left out: {error}")
            continue
        yield definitions


def loaded_titles() -> list[Title]:
    """Every title whose YAML is valid. Another one is reported in one line and left out."""
    titles, errors = valid_titles()
    for error in errors:
        dg.get_dagster_logger().error(f"a title is left out: {error}")
    return titles
