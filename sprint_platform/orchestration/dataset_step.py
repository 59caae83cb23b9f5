"""A step of one dataset: the run's partitions as files, loaded into their table and checked."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb

from sprint_platform.core.locks import hold
from sprint_platform.core.window import span
from sprint_platform.engines.load import TableLoad, load_on_spark, load_partitions
from sprint_platform.engines.spark_engine import spark_lock
from sprint_platform.engines.spark_session import spark_session
from sprint_platform.orchestration.checks import Rule, check_specs, run_checks
from sprint_platform.orchestration.code_references import code_references
from sprint_platform.orchestration.failures import failures_in_one_line
from sprint_platform.orchestration.policies import FRESHNESS, OWNERS
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_tags import EXISTING_TAG, REUSE
from sprint_platform.orchestration.run_window import run_periods
from sprint_platform.orchestration.table_metadata import columns_of, table_metadata
from sprint_platform.publish.marts import loaded_is_published, publish_loaded
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storage.partitions import Manifest, Period, read_manifest, write_partition
from sprint_platform.telemetry.contracts import Dataset

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Made:
    """A partition, and the seconds in which it was made here; None where it existed."""

    manifest: Manifest
    seconds: float | None = None

    def metadata(self) -> dict[str, Any]:
        """Its rows, bytes and digest; and how fast it was made, where it was made here."""
        metadata: dict[str, Any] = {
            "dagster/partition_row_count": self.manifest.rows,
            "bytes": self.manifest.bytes,
            "digest": self.manifest.digest,
        }
        if self.seconds is not None:
            metadata["seconds"] = round(self.seconds, 3)
            metadata["rows_per_second"] = round(self.manifest.rows / self.seconds)
        return metadata


@dataclass(frozen=True)
class StepRun:
    """One run of a dataset's step: its periods, ascending and without gaps (none where a check was
    launched alone), the name under which it holds the warehouse, and what it loaded on Spark."""

    context: dg.AssetExecutionContext
    warehouse: Warehouse
    holder: str
    periods: list[Period]
    on_spark: TableLoad[Period] | None = None


class DatasetStep(ABC):
    """What a title or domain does in the step of a dataset. ``rules`` are its checks by name, and
    ``counted`` is the metadata's name for the number of periods that a run loaded."""

    counted = "periods_loaded"
    # a title's, where the engine is Spark
    loads_on_spark = False

    def __init__(
        self, ledger: Ledger, dataset: Dataset, spec: dg.AssetSpec, rules: Mapping[str, Rule]
    ) -> None:
        self.ledger, self.dataset, self.spec, self.rules = ledger, dataset, spec, rules

    @abstractmethod
    def make(self, run: StepRun) -> Iterator[tuple[Period, Made]]:
        """The partitions of the run's periods, which are made here or were landed; earlier ones may
        come with them. Raises a SprintError where what they are made from is missing."""

    @abstractmethod
    def ensure_tables(self, con: duckdb.DuckDBPyConnection) -> None:
        """Creates the tables that the load and the checks need, where they are missing."""

    def require(self, run: StepRun, con: duckdb.DuckDBPyConnection) -> None:
        """Raises a SprintError where the warehouse lacks what the load goes with."""
        del run, con

    def load(
        self, run: StepRun, con: duckdb.DuckDBPyConnection, made: Mapping[Period, Manifest]
    ) -> dict[str, Any]:
        """Loads the partitions in one transaction, unless they were loaded on Spark; publishes that
        they are loaded, and returns the run's metadata. Periods with an unchanged digest are not
        counted."""
        name = self.dataset.name
        report = run.on_spark or load_partitions(con, self.ledger, self.dataset, made)
        # the published views of heartbeats name partition files
        views = name == "heartbeats"
        if report.loaded or not loaded_is_published(con, self.ledger, name, made, views=views):
            publish_loaded(con, self.ledger, views=views)
        return {"load_seconds": round(report.seconds, 3), self.counted: len(report.loaded)}

    def _load_on_spark(self, run: StepRun, made: Mapping[Period, Manifest]) -> TableLoad[Period]:
        with hold(spark_lock(self.ledger.name), run.holder):
            # before the lease is held: it takes seconds
            spark_session()
            open_duckdb = partial(run.warehouse.get_connection, run.holder)
            with open_duckdb() as con:
                self.ensure_tables(con)
                self.require(run, con)
            return load_on_spark(open_duckdb, self.ledger, self.dataset, made)

    def build(self, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
        """The asset with its checks, in a step of its own."""
        asset = f"{self.ledger.name}/{self.dataset.name}"

        @dg.multi_asset(
            name=asset.replace("/", "_"),
            specs=[self.spec],
            check_specs=check_specs(self.spec.key, self.rules),
            # a check can then be launched without the asset
            can_subset=True,
            partitions_def=partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def step(
            context: dg.AssetExecutionContext, warehouse: Warehouse
        ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
            holder = f"{asset} of run {context.run.run_id}"
            run = StepRun(
                context, warehouse, holder, run_periods(context, batches=self.ledger.batches)
            )
            asked = {check.name for check in context.selected_asset_check_keys}
            rules = {name: rule for name, rule in self.rules.items() if name in asked}
            with failures_in_one_line():
                made: dict[Period, Manifest] = {}
                if run.periods and context.selected_asset_keys:
                    for period, partition in self.make(run):
                        made[period] = partition.manifest
                        _add_metadata(run, self.spec.key, period, partition)
                if made and self.loads_on_spark:
                    run = replace(run, on_spark=self._load_on_spark(run, made))
                with warehouse.get_connection(holder) as con:
                    self.ensure_tables(con)
                    if made:
                        self.require(run, con)
                        metadata = self.load(run, con, made)
                        yield dg.MaterializeResult(asset_key=self.spec.key, metadata=metadata)
                    # earlier periods may have been loaded too
                    covered = sorted(made) or run.periods
                    yield from run_checks(con, self.ledger, self.dataset, rules, covered)

        return step


def reuses(context: dg.AssetExecutionContext) -> bool:
    """Whether the run only loads partitions that exist and come from today's source."""
    return context.run.tags.get(EXISTING_TAG) == REUSE


def make_partition(
    domain: str,
    dataset: Dataset,
    period: Period,
    source: str,
    make: Callable[[], Iterable["pa.Table"]],
    reuse: bool,
) -> Made:
    """The partition of the period: the one that exists, where it may be reused and comes from the
    source, else one that is made now of the records that ``make`` returns."""
    existing = read_manifest(domain, dataset.name, period, dataset) if reuse else None
    if existing is not None and existing.source == source:
        return Made(existing)
    began = time.perf_counter()
    manifest = write_partition(domain, dataset.name, period, make(), source, dataset)
    return Made(manifest, time.perf_counter() - began)


def _add_metadata(run: StepRun, key: dg.AssetKey, period: Period, made: Made) -> None:
    """Adds the partition's metadata to Dagster's events."""
    metadata = made.metadata()
    if period in run.periods:
        run.context.add_asset_metadata(metadata, key, partition_key=str(period))
    elif made.seconds is not None:
        # Dagster itself records only the run's own partitions
        metadata["made_for"] = f"the run of {span(run.periods[0], run.periods[-1])}"
        run.context.log_event(
            dg.AssetMaterialization(key, partition=str(period), metadata=metadata)
        )


def dataset_spec(
    domain: str,
    dataset: Dataset,
    description: str,
    code: Iterable[Path | Callable[..., Any]],
    **other: Any,
) -> dg.AssetSpec:
    """How the dataset looks in the graph; ``code`` is what its records come from, and ``other``
    attributes are the domain's own."""
    relation = dataset.relation(domain)
    if dataset.table != dataset.name:
        description += f" Its table is `{relation}`; dbt's source is called like the table."
    attributes: dict[str, Any] = {
        "deps": [dg.AssetKey([domain, upstream]) for upstream in dataset.upstream],
        "group_name": domain,
        "freshness_policy": FRESHNESS,
        **other,
    }
    return dg.AssetSpec(
        dg.AssetKey([domain, dataset.name]),
        description=description,
        kinds={"python", "parquet", "duckdb"},
        owners=OWNERS,
        metadata={
            **code_references(*code),
            **table_metadata(relation, columns_of(dataset)),
        },
        **attributes,
    )
