"""A title's datasets as daily-partitioned assets: partition files, loaded into their tables."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import time
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from sprint_platform.orchestration.catalogue import PRODUCTS_KEY, read_catalogue
from sprint_platform.orchestration.checks import check_specs, run_checks
from sprint_platform.orchestration.failures import told_in_one_line
from sprint_platform.orchestration.policies import FRESHNESS, OWNERS
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.window import Window, described, run_window
from sprint_platform.telemetry.contracts import DATASETS, Column
from sprint_platform.telemetry.partitions import (
    Manifest,
    PartitionError,
    read_manifest,
    write_partition,
)
from sprint_platform.title import Title
from sprint_platform.warehouse.load import load_partitions

if TYPE_CHECKING:
    from sprint_platform.simulation.world import World

# What each dataset is made from. Of dim_players every sign-up day so far must be there, or facts
# would name players that nobody knows; of the others the same day.
UPSTREAM: dict[str, tuple[str, ...]] = {
    "dim_players": (),
    "signons": ("dim_players",),
    "sessions": ("dim_players", "signons"),
    "heartbeats": ("sessions",),
    "transactions": ("dim_players",),
}
# Landed files stand for themselves; a heartbeat without its session still means nothing.
LANDED_UPSTREAM: dict[str, tuple[str, ...]] = {
    dataset: ("sessions",) if dataset == "heartbeats" else () for dataset in UPSTREAM
}
# What a landed title must have for a day; who plays and who pays is often not told.
LANDED_ALWAYS = ("sessions", "heartbeats")
SECONDS_BETWEEN_PROGRESS = 10.0


def upstream_datasets(title: Title, dataset: str) -> tuple[str, ...]:
    """The datasets that this one is made from."""
    return (UPSTREAM if title.source == "simulated" else LANDED_UPSTREAM)[dataset]


def build_raw_assets(
    title: Title, partitions: dg.PartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """One asset per dataset of the title, each in a step of its own."""
    return [_raw_asset(title, dataset, partitions) for dataset in UPSTREAM]


def raw_asset_spec(title: Title, dataset: str) -> dg.AssetSpec:
    """How the dataset looks in the graph."""
    contract = DATASETS[dataset]
    deps = [dg.AssetKey([title.name, upstream]) for upstream in upstream_datasets(title, dataset)]
    if dataset == "transactions" and title.source == "simulated":
        deps.append(PRODUCTS_KEY)
    made = "Simulated" if title.source == "simulated" else "Landed"
    return dg.AssetSpec(
        dg.AssetKey([title.name, dataset]),
        deps=deps,
        description=f"One row is {contract.one_row_is}. {made} day by day for {title.name}.",
        group_name=contract.schema_name(title.name),
        kinds={"python", "parquet", "duckdb"},
        owners=OWNERS,
        freshness_policy=FRESHNESS,
        # another YAML, seed or version of the simulation makes other records
        code_version=title.fingerprint,
        metadata={
            "dagster/table_name": contract.relation(title.name),
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(column.name, column.type, description=_meaning(column))
                    for column in contract.columns
                ]
            ),
        },
    )


def _meaning(column: Column) -> str:
    values = f": {', '.join(column.values)}" if column.values else ""
    return column.meaning + (f" ({column.unit})" if column.unit else "") + values


def _raw_asset(
    title: Title, dataset: str, partitions: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    spec = raw_asset_spec(title, dataset)

    @dg.multi_asset(
        name=f"{title.name}_{dataset}",
        specs=[spec],
        check_specs=check_specs(title, dataset),
        # so that a check can be launched without the asset
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def materialize(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        window = run_window(context)
        checks = [check.name for check in context.selected_asset_check_keys]
        holder = f"{title.name}/{dataset} of run {context.run_id}"
        with told_in_one_line():
            manifests = {}
            if window and context.selected_asset_keys:
                manifests = _partitions(context, title, dataset, window)
            with warehouse.get_connection(holder) as con:
                if window and manifests:
                    report = load_partitions(con, title.name, dataset, manifests)
                    context.log.info(
                        f"{report.rows:,} rows of {len(report.loaded_days)} days loaded in"
                        f" {report.seconds:.2f} s; the other {len(report.unchanged_days)} days were"
                        " loaded already"
                    )
                    # earlier sign-up days came with it
                    window = Window(min(manifests), window.end)
                    yield dg.MaterializeResult(asset_key=spec.key)
                yield from run_checks(con, title, dataset, checks, window)

    return materialize


def _partitions(
    context: dg.AssetExecutionContext, title: Title, dataset: str, window: Window
) -> dict[date, Manifest]:
    """The partition files of the window, made where the title is simulated; with their metadata
    told to Dagster."""
    require_upstream(title, dataset, window)
    if title.source == "simulated":
        return _simulated(context, title, dataset, window)
    return _landed(context, title, dataset, window)


def require_upstream(title: Title, dataset: str, window: Window) -> None:
    """Raises PartitionError, naming what to materialize first, when a partition that the window is
    made from is missing or comes from another version of the title."""
    for upstream in upstream_datasets(title, dataset):
        missing = missing_days(title, upstream, needed_days(title, upstream, window))
        if missing:
            raise PartitionError(
                f"{title.name}/{dataset} for {window} needs {title.name}/{upstream} for"
                f" {described(missing)}: materialize {title.name}/{upstream} for"
                f" {missing[0] if len(missing) == 1 else f'{missing[0]}...{missing[-1]}'} first"
            )


def needed_days(title: Title, upstream: str, window: Window) -> list[date]:
    """The days of an upstream dataset that a window downstream of it stands on."""
    if upstream == "dim_players" and title.source == "simulated":
        return Window(title.launch_date, window.end).days
    return window.days


def missing_days(title: Title, dataset: str, days: Iterable[date]) -> list[date]:
    """Those of the days that have no partition, or one from another version of the title."""
    missing = []
    for day in days:
        manifest = read_manifest(title.name, dataset, day)
        # a simulated source is the title's fingerprint, and more where the catalogue matters
        if manifest is None or (
            title.source == "simulated" and not manifest.source.startswith(title.fingerprint)
        ):
            missing.append(day)
    return missing


def _simulated(
    context: dg.AssetExecutionContext, title: Title, dataset: str, window: Window
) -> dict[date, Manifest]:
    # numpy, polars and the name lists: only when something is simulated
    from sprint_platform.simulation.world import World

    world = World(title, read_catalogue() if dataset == "transactions" else None)
    earlier: list[date] = []
    if dataset == "dim_players":
        earlier = missing_days(title, dataset, Window(title.launch_date, window.start).days)
    manifests = {}
    for day in _with_progress(context, [*earlier, *window.days]):
        manifest, metadata = _simulate_day(world, dataset, day)
        manifests[day] = manifest
        if day < window.start:
            # Dagster knows only of the run's own partitions by itself
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=dg.AssetKey([title.name, dataset]),
                    partition=day.isoformat(),
                    metadata={**metadata, "made for": f"the run of {window}"},
                )
            )
        else:
            context.add_asset_metadata(
                metadata,
                asset_key=dg.AssetKey([title.name, dataset]),
                partition_key=day.isoformat(),
            )
    return manifests


def _simulate_day(world: "World", dataset: str, day: date) -> tuple[Manifest, dict[str, Any]]:
    title = world.title
    began = time.perf_counter()
    # the world's methods have the datasets' names
    tables = getattr(world, dataset)(day)
    manifest = write_partition(title.name, dataset, day, tables, source=world.source(dataset))
    seconds = time.perf_counter() - began
    return manifest, {
        **_told(manifest),
        "seconds": round(seconds, 3),
        "rows_per_second": round(manifest.rows / seconds),
    }


def _told(manifest: Manifest) -> dict[str, Any]:
    return {
        "dagster/partition_row_count": manifest.rows,
        "bytes": manifest.bytes,
        "digest": manifest.digest,
    }


def _landed(
    context: dg.AssetExecutionContext, title: Title, dataset: str, window: Window
) -> dict[date, Manifest]:
    manifests = {}
    for day in window.days:
        manifest = read_manifest(title.name, dataset, day, missing_ok=dataset not in LANDED_ALWAYS)
        if manifest:
            manifests[day] = manifest
            context.add_asset_metadata(
                _told(manifest),
                asset_key=dg.AssetKey([title.name, dataset]),
                partition_key=day.isoformat(),
            )
    return manifests


def _with_progress(context: dg.AssetExecutionContext, days: list[date]) -> Iterator[date]:
    """The days, one by one; now and then the log says how far it is. Every line costs as much as
    some thousand rows, so not at every day."""
    began = told = time.monotonic()
    for done, day in enumerate(days):
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_PROGRESS:
            left = timedelta(seconds=round((now - began) / done * (len(days) - done)))
            context.log.info(f"{done} of {len(days)} days made, about {left} left")
            told = now
        yield day
