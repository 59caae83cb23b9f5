"""A domain from outside in the graph: its datasets, models, job and schedule."""

from __future__ import annotations

from datetime import date

import dagster as dg
import duckdb

from sprint_platform.domain import Batches, Domain
from sprint_platform.operations.domain_periods import missing_days, require_loaded, run_seconds
from sprint_platform.operations.domain_project import check_project
from sprint_platform.orchestration.dbt_step import build_models_step
from sprint_platform.orchestration.domain_assets import (
    build_dataset_asset,
    domain_partitions,
    run_periods,
)
from sprint_platform.orchestration.domain_checks import is_whole
from sprint_platform.orchestration.domain_translator import OutsideTranslator
from sprint_platform.orchestration.jobs import build_domain_job
from sprint_platform.orchestration.run_window import run_window
from sprint_platform.orchestration.schedules import build_daily_schedule
from sprint_platform.transform.dbt_manifest import Node, graph_manifest, sources_of
from sprint_platform.transform.dbt_runner import (
    batches_environment,
    project_environment,
    window_environment,
)


def build_domain_definitions(domain: Domain) -> dg.Definitions:
    """The domain's part of the graph: an asset per dataset, its models in one step, a job, and for
    a domain of days a schedule.

    Raises ManifestError with dbt's own words where its project is wrong.
    """
    manifest = graph_manifest(domain.dbt_project)
    check_project(domain, manifest)
    translator = OutsideTranslator(domain)
    partitions = domain_partitions(domain)
    assets = [build_dataset_asset(domain, dataset, partitions) for dataset in domain.datasets]
    assets.append(_models(translator, manifest, partitions))
    if isinstance(domain.periods, Batches):
        description = f"One batch of {domain.name}: datasets, models and checks."
        job = build_domain_job(domain.name, "batch", assets, description)
        return dg.Definitions(assets=assets, jobs=[job])
    description = f"One day of {domain.name}: datasets, models and checks."
    job = build_domain_job(domain.name, "daily", assets, description)
    schedule = _schedule(translator, manifest, job)
    return dg.Definitions(assets=assets, jobs=[job], schedules=[schedule])


def _models(
    translator: OutsideTranslator, manifest: Node, partitions: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    domain, known = translator.domain, translator.models(manifest)

    def prepare(
        context: dg.AssetExecutionContext, con: duckdb.DuckDBPyConnection, nodes: list[Node]
    ) -> dict[str, str]:
        read = {
            translator.get_asset_key(source).path[-1]
            for node in nodes
            for source in sources_of(manifest, node)
        }
        periods = run_periods(context, domain)
        require_loaded(con, domain, read, periods)
        if not isinstance(domain.periods, Batches):
            return {**project_environment(), **window_environment(run_window(context))}
        batches = {int(str(batch)) for batch in periods}
        if batches:
            standing = domain.ledger.standing(con, known)
            behind = {int(batch) for batch in (*standing.unbuilt, *standing.stale)} - batches
            also = {batch for batch in behind if is_whole(con, domain, batch)}
            if also < behind:
                context.log.warning(
                    f"left out are the batches {sorted(behind - also)}: not every dataset of them"
                    " is loaded and passes its checks"
                )
            if also:
                context.log.info(
                    f"with the batches {sorted(also)}: loaded, and not built since as they are"
                    " loaded and defined now"
                )
            batches |= also
        return {**project_environment(), **batches_environment(batches)}

    return build_models_step(translator, manifest, partitions, prepare)


def _schedule(
    translator: OutsideTranslator, manifest: Node, job: dg.UnresolvedAssetJobDefinition
) -> dg.ScheduleDefinition:
    domain = translator.domain

    def missing(last: date) -> list[date]:
        standing = domain.ledger.published_standing(translator.models(manifest))
        return missing_days(domain, standing, last)

    def seconds(days: list[date], runs: int) -> float:
        return run_seconds(domain, len(days), runs)

    def by_hand(days: list[date]) -> str:
        return f"sprint domain run {domain.name} --missing"

    return build_daily_schedule(job, domain.name, missing, seconds, by_hand)
