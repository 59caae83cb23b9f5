"""A domain from outside in the graph: its datasets, models, job and schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from sprint_platform.domain import Batches, Domain
from sprint_platform.engines.load import ensure_tables, forget_other_columns
from sprint_platform.operations.domain_periods import (
    missing_days,
    require_loaded,
    require_made,
    run_seconds,
)
from sprint_platform.operations.domain_project import check_project
from sprint_platform.orchestration.checks import (
    ROWS_MATCH_MANIFEST,
    Rule,
    dates_inside_partition,
    run_checks,
    table_of,
)
from sprint_platform.orchestration.dataset_step import (
    DatasetStep,
    Made,
    StepRun,
    dataset_spec,
    make_partition,
    reuses,
)
from sprint_platform.orchestration.dbt_step import build_models_step
from sprint_platform.orchestration.dbt_translator import DomainTranslator
from sprint_platform.orchestration.policies import FRESHNESS, daily_partitions, numbered_partitions
from sprint_platform.orchestration.run_tags import domain_tags
from sprint_platform.orchestration.run_window import run_periods, run_window, with_progress
from sprint_platform.orchestration.schedules import build_daily_schedule, build_job
from sprint_platform.storage.partitions import Manifest, Period
from sprint_platform.telemetry.contracts import Dataset
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
    partitions = _partitions(domain)
    assets = [_OutsideDataset(domain, dataset).build(partitions) for dataset in domain.datasets]
    assets.append(_models(translator, manifest, partitions))
    name, period = ("batch", "batch") if domain.ledger.batches else ("daily", "day")
    job = build_job(
        f"{domain.name}_{name}",
        domain_tags(domain.name),
        assets,
        f"One {period} of {domain.name}: datasets, models and checks.",
    )
    # batches come when they come
    schedules = [] if domain.ledger.batches else [_schedule(translator, manifest, job)]
    return dg.Definitions(assets=assets, jobs=[job], schedules=schedules)


class OutsideTranslator(DomainTranslator):
    """Names of a domain from outside, whose models are in a project of its own."""

    def __init__(self, domain: Domain) -> None:
        datasets = {dataset.table: dataset.name for dataset in domain.datasets}
        super().__init__(domain.ledger, datasets)
        self.domain = domain

    @property
    def project(self) -> Path:
        return self.domain.dbt_project

    def attributes(self, manifest: Node, node: Node, spec: dg.AssetSpec) -> dict[str, Any]:
        return {"freshness_policy": _freshness(self.domain)}


def _partitions(domain: Domain) -> dg.PartitionsDefinition:
    """The domain's days up to today, or all batches that are possible."""
    if isinstance(domain.periods, Batches):
        return numbered_partitions(domain.periods.last)
    return daily_partitions(domain.periods.first)


def _freshness(domain: Domain) -> dg.FreshnessPolicy | None:
    return None if domain.ledger.batches else FRESHNESS


def _rules(domain: Domain, dataset: Dataset) -> dict[str, Rule]:
    """The dataset's checks by name: they compare rows and files with its contract."""
    key = ", ".join(dataset.key)
    found = {
        "rows_match_manifest": ROWS_MATCH_MANIFEST,
        "key_is_unique": Rule(
            f"No two rows have the same {key}.",
            f"select {key} from {table_of(dataset)} where {{window}}"
            " group by all having count(*) > 1",
        ),
    }
    if dataset.time_column and not domain.ledger.batches:
        found["dates_inside_partition"] = dates_inside_partition(
            dataset, f"Every {dataset.time_column} lies within its partition's UTC day."
        )
    return found


class _OutsideDataset(DatasetStep):
    def __init__(self, domain: Domain, dataset: Dataset) -> None:
        self._domain = domain
        spec = dataset_spec(
            domain.name,
            dataset,
            f"One row is {dataset.one_row_is}.",
            [domain.make[dataset.name]],
            freshness_policy=_freshness(domain),
            code_version=domain.source,
        )
        super().__init__(domain.ledger, dataset, spec, _rules(domain, dataset))

    def make(self, run: StepRun) -> Iterator[tuple[Period, Made]]:
        domain, dataset, reuse = self._domain, self.dataset, reuses(run.context)
        require_made(domain, dataset, run.periods)
        for period in with_progress(run.context, run.periods):
            tables = partial(domain.tables, dataset.name, period)
            yield (
                period,
                make_partition(domain.name, dataset, period, domain.source, tables, reuse),
            )

    def ensure_tables(self, con: duckdb.DuckDBPyConnection) -> None:
        ensure_tables(con, self.ledger, self._domain.datasets)

    def load(
        self, run: StepRun, con: duckdb.DuckDBPyConnection, made: Mapping[Period, Manifest]
    ) -> dict[str, Any]:
        for changed in forget_other_columns(con, self.ledger, [self.dataset]):
            run.context.log.warning(
                f"{self.ledger.name}/{changed} has other columns than its table had: all of its"
                f" periods are to be loaded again (sprint domain run {self.ledger.name})"
            )
        return super().load(run, con, made)


def _is_whole(con: duckdb.DuckDBPyConnection, domain: Domain, period: Period) -> bool:
    """Whether the warehouse holds the period of every dataset, and each passes its checks."""
    return all(
        period in domain.ledger.loaded(con, dataset.name)
        and all(
            result.passed
            for result in run_checks(con, domain.ledger, dataset, _rules(domain, dataset), [period])
        )
        for dataset in domain.datasets
    )


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
        periods = run_periods(context, batches=domain.ledger.batches)
        require_loaded(con, domain, read, periods)
        if not isinstance(domain.periods, Batches):
            return {**project_environment(), **window_environment(run_window(context))}
        batches = {int(str(batch)) for batch in periods}
        if batches:
            standing = domain.ledger.standing(con, known)
            behind = {int(batch) for batch in (*standing.unbuilt, *standing.stale)} - batches
            also = {batch for batch in behind if _is_whole(con, domain, batch)}
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
