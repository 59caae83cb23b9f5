"""The datasets of a domain from outside as assets: partition files, loaded into their tables."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import time
from collections.abc import Iterator

import dagster as dg

from sprint_platform.domain import Batches, Domain
from sprint_platform.engines.load import ensure_tables, forget_other_columns, load_partitions
from sprint_platform.operations.domain_periods import require_made
from sprint_platform.orchestration.dataset_metadata import partition_metadata, table_metadata
from sprint_platform.orchestration.domain_checks import check_specs, run_checks
from sprint_platform.orchestration.failures import failures_in_one_line
from sprint_platform.orchestration.policies import FRESHNESS, OWNERS, daily_partitions
from sprint_platform.orchestration.raw_assets import EXISTING_TAG, REUSE
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import run_batches, run_window, with_progress
from sprint_platform.publish.marts import publish_loaded
from sprint_platform.storage.partitions import Manifest, Period, read_manifest, write_partition
from sprint_platform.telemetry.contracts import Dataset


def domain_partitions(domain: Domain) -> dg.PartitionsDefinition:
    """The domain's days up to today, or all batches that are possible."""
    if isinstance(domain.periods, Batches):
        numbers = range(1, domain.periods.last + 1)
        return dg.StaticPartitionsDefinition([str(number) for number in numbers])
    return daily_partitions(domain.periods.first)


def run_periods(context: dg.AssetExecutionContext, domain: Domain) -> list[Period]:
    """The run's days or batches; none for a run without partitions (a check launched alone)."""
    if isinstance(domain.periods, Batches):
        return [*run_batches(context)]
    window = run_window(context)
    return [*window.days] if window else []


def build_dataset_asset(
    domain: Domain, dataset: Dataset, partitions: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        dg.AssetKey([domain.name, dataset.name]),
        deps=[dg.AssetKey([domain.name, upstream]) for upstream in dataset.upstream],
        description=f"One row is {dataset.one_row_is}.",
        group_name=domain.name,
        kinds={"python", "parquet", "duckdb"},
        owners=OWNERS,
        freshness_policy=None if isinstance(domain.periods, Batches) else FRESHNESS,
        code_version=domain.source,
        metadata=table_metadata(dataset, domain.name),
    )

    @dg.multi_asset(
        name=f"{domain.name}_{dataset.name}",
        specs=[spec],
        check_specs=check_specs(domain, dataset),
        # a check can then be launched without the asset
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def materialize(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        periods = run_periods(context, domain)
        checks = [check.name for check in context.selected_asset_check_keys]
        holder = f"{domain.name}/{dataset.name} of run {context.run.run_id}"
        with failures_in_one_line():
            made: dict[Period, Manifest] = {}
            if periods and context.selected_asset_keys:
                require_made(domain, dataset, periods)
                made = _made(context, domain, dataset, periods)
            with warehouse.get_connection(holder) as con:
                ensure_tables(con, domain.ledger, domain.datasets)
                for changed in forget_other_columns(con, domain.ledger, [dataset] if made else []):
                    context.log.warning(
                        f"{domain.name}/{changed} has other columns than its table had: all of its"
                        f" periods are to be loaded again (sprint domain run {domain.name})"
                    )
                if made:
                    report = load_partitions(con, domain.ledger, dataset, made)
                    if report.loaded:
                        publish_loaded(con, domain.ledger, views=False)
                    yield dg.MaterializeResult(
                        asset_key=spec.key,
                        metadata={
                            "load_seconds": round(report.seconds, 3),
                            "periods_loaded": len(report.loaded),
                        },
                    )
                yield from run_checks(con, domain, dataset, checks, periods)

    return materialize


def _made(
    context: dg.AssetExecutionContext, domain: Domain, dataset: Dataset, periods: list[Period]
) -> dict[Period, Manifest]:
    """The partition files of the periods, made here; a run with ``REUSE`` reuses those of the same
    version."""
    key = dg.AssetKey([domain.name, dataset.name])
    reuse = context.run.tags.get(EXISTING_TAG) == REUSE
    manifests: dict[Period, Manifest] = {}
    for period in with_progress(context, periods):
        manifest = read_manifest(domain.name, dataset.name, period) if reuse else None
        seconds = None
        if manifest is None or manifest.source != domain.source:
            began = time.perf_counter()
            tables = domain.make[dataset.name](period)
            manifest = write_partition(
                domain.name, dataset.name, period, tables, domain.source, dataset
            )
            seconds = time.perf_counter() - began
        manifests[period] = manifest
        metadata = partition_metadata(manifest, seconds)
        context.add_asset_metadata(metadata, key, partition_key=str(period))
    return manifests
