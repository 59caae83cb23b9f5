"""A title's datasets as daily-partitioned assets: partition files, loaded into their tables."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import time
from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb

from sprint_platform.core.window import Window
from sprint_platform.engines.load import TableLoad, ensure_title_schemas, load_partitions
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.operations.pictures import Picture, positions_picture
from sprint_platform.operations.upstream import (
    missing_days,
    require,
    require_players,
    unloaded_players,
    upstream_datasets,
)
from sprint_platform.orchestration.catalogue import PRODUCTS_KEY
from sprint_platform.orchestration.checks import check_specs, run_checks
from sprint_platform.orchestration.dataset_metadata import partition_metadata, table_metadata
from sprint_platform.orchestration.failures import failures_in_one_line
from sprint_platform.orchestration.glances import Glance
from sprint_platform.orchestration.policies import FRESHNESS, OWNERS
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import Watch, run_window, with_progress
from sprint_platform.publish.marts import publish_loaded
from sprint_platform.storage.digest import Digest
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import (
    Manifest,
    read_manifest,
    write_partition,
)
from sprint_platform.telemetry.contracts import DAILY, DATASETS
from sprint_platform.title import Title

if TYPE_CHECKING:
    import pyarrow as pa

# A run with this tag reuses partitions that exist and come from the same title, and only loads
# them.
EXISTING_TAG, REUSE = "sprint/existing", "reuse"
# For a partition that was never written; nothing is written for it.
NOTHING_LANDED = Manifest(rows=0, bytes=0, digest=str(Digest()), source="nothing", parts=())


def build_raw_assets(
    title: Title, partitions: dg.PartitionsDefinition, watch: Watch | None = None
) -> list[dg.AssetsDefinition]:
    """One asset per dataset of the title, each in a step of its own."""
    return [_raw_asset(title, dataset, partitions, watch) for dataset in DAILY]


def landed_files_key(title: Title) -> dg.AssetKey:
    """The asset that lands the title's files."""
    return dg.AssetKey([title.name, "landed_files"])


def raw_asset_spec(title: Title, dataset: str) -> dg.AssetSpec:
    """How the dataset looks in the graph."""
    contract = DATASETS[dataset]
    deps = [dg.AssetKey([title.name, upstream]) for upstream in upstream_datasets(title, dataset)]
    made = f"Simulated day by day for {title.name}."
    if title.lands:
        deps.append(landed_files_key(title))
        made = f"The days of {title.name} as their files were landed."
    elif "products" in contract.upstream:
        deps.append(PRODUCTS_KEY)
    if dataset in ("sessions", "heartbeats"):
        made += " A session lies whole in the partition of the UTC day on which it started."
    return dg.AssetSpec(
        dg.AssetKey([title.name, dataset]),
        deps=deps,
        description=f"One row is {contract.one_row_is}. {made}",
        group_name=contract.schema_name(title.name),
        kinds={"python", "parquet", "duckdb"},
        owners=OWNERS,
        freshness_policy=FRESHNESS,
        # another YAML, seed or version of the simulation makes other records; another mapping or
        # grid reads others from the same files
        code_version=title.landing_fingerprint if title.lands else title.fingerprint,
        metadata=table_metadata(contract, title.name),
    )


def _raw_asset(
    title: Title, dataset: str, partitions: dg.PartitionsDefinition, watch: Watch | None
) -> dg.AssetsDefinition:
    spec = raw_asset_spec(title, dataset)

    @dg.multi_asset(
        name=f"{title.name}_{dataset}",
        specs=[spec],
        check_specs=check_specs(title, dataset),
        # a check can then be launched without the asset
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def materialize(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        window = run_window(context)
        checks = [check.name for check in context.selected_asset_check_keys]
        holder = f"{title.name}/{dataset} of run {context.run.run_id}"
        with failures_in_one_line():
            made = None
            if window and context.selected_asset_keys:
                require(title, dataset, upstream_datasets(title, dataset), window)
                earlier: list[date] = []
                if dataset == "dim_players":
                    with warehouse.get_connection(holder) as con:
                        earlier = _unloaded_players(con, title, window)
                made = _partitions(context, title, dataset, window, earlier, watch)
            with warehouse.get_connection(holder) as con:
                ensure_title_schemas(con, title.name)
                if window and made is not None:
                    if "dim_players" in upstream_datasets(title, dataset):
                        require_players(con, title, dataset, window)
                    report = load_partitions(con, title_ledger(title.name), DATASETS[dataset], made)
                    if report.loaded:
                        ledger = title_ledger(title.name)
                        publish_loaded(con, ledger, views=dataset == "heartbeats")
                    # earlier sign-up days may have been loaded too
                    window = Window(min([window.start, *report.loaded]), window.end)
                    if not DATASETS[dataset].private:
                        _add_glance(context, con, title, dataset, window.days[-1])
                    yield dg.MaterializeResult(asset_key=spec.key, metadata=_load_metadata(report))
                yield from run_checks(con, title, dataset, checks, window)

    return materialize


def _partitions(
    context: dg.AssetExecutionContext,
    title: Title,
    dataset: str,
    window: Window,
    earlier: list[date],
    watch: Watch | None,
) -> dict[date, Manifest]:
    """The window's partition files, made here unless they were landed; adds their metadata to
    Dagster's events. Players come with the ``earlier`` sign-up days that the warehouse does not
    hold."""
    key = dg.AssetKey([title.name, dataset])
    if title.lands:
        partitions = _landed_partitions(title, dataset, [*earlier, *window.days])
    else:
        partitions = _simulated_partitions(context, title, dataset, window, earlier, watch)
    manifests = {}
    for day, manifest, seconds in partitions:
        manifests[day] = manifest
        metadata = partition_metadata(manifest, seconds)
        if day < window.start:
            if seconds is None:
                continue
            # Dagster itself records only the run's own partitions
            metadata["made_for"] = f"the run of {window}"
            context.log_event(
                dg.AssetMaterialization(key, partition=day.isoformat(), metadata=metadata)
            )
        else:
            context.add_asset_metadata(metadata, key, partition_key=day.isoformat())
    return manifests


def _add_glance(
    context: dg.AssetExecutionContext,
    con: duckdb.DuckDBPyConnection,
    title: Title,
    dataset: str,
    day: date,
) -> None:
    """Adds a picture and some rows of the run's last day: one picture is small, a year of them is
    not. Adds nothing for a day without rows."""
    contract, bars = DATASETS[dataset], DATASETS[dataset].bars
    glance = Glance(
        contract.relation(title.name),
        str(contract.partition_column),
        "day",
        Picture(bars.title, bars.x, bars.y) if bars else None,
        # a day's heartbeats are too many to be sorted for five rows
        in_order=False,
    )
    if (seen := glance.read(con, day)) is None:
        return
    metadata = glance.metadata(seen, day)
    # positions are a map, not bars
    if dataset == "heartbeats" and (positions := positions_picture(con, title, day)):
        metadata = {"positions": dg.MetadataValue.md(positions), **metadata}
    key = dg.AssetKey([title.name, dataset])
    context.add_asset_metadata(metadata, key, partition_key=day.isoformat())


def _load_metadata(report: TableLoad[date]) -> dict[str, Any]:
    """The metadata of the whole run's load; days with an unchanged digest are not counted."""
    return {"load_seconds": round(report.seconds, 3), "days_loaded": len(report.loaded)}


def _unloaded_players(con: duckdb.DuckDBPyConnection, title: Title, window: Window) -> list[date]:
    """The earlier sign-up days that the warehouse does not hold as they are made or landed now; the
    manifests of the others need not be read."""
    from sprint_platform.operations.landed import landed_digests

    ensure_title_schemas(con, title.name)
    if title.lands:
        loaded = title_ledger(title.name).loaded_digests(con, "dim_players", end=window.start)
        landed = landed_digests(con, title.name, "dim_players")
        return sorted(d for d in landed if d < window.start and loaded.get(d) != landed[d])
    return unloaded_players(con, title, window.start)


def _simulated_partitions(
    context: dg.AssetExecutionContext,
    title: Title,
    dataset: str,
    window: Window,
    earlier: list[date],
    watch: Watch | None,
) -> Iterator[tuple[date, Manifest, float | None]]:
    # numpy and the name lists: only when something is simulated
    from sprint_platform.simulation.world import World

    sold = read_catalogue() if "products" in DATASETS[dataset].upstream else None
    world = World(title, sold)
    source = world.source(dataset)
    missing = missing_days(title, dataset, earlier)
    for day in sorted(set(earlier) - set(missing)):
        # made, but never loaded: a run was killed in between, or the database is new
        if manifest := read_manifest(title.name, dataset, day):
            yield day, manifest, None
    reuse = context.run.tags.get(EXISTING_TAG) == REUSE
    for day in with_progress(context, [*missing, *window.days]):
        existing = read_manifest(title.name, dataset, day) if reuse else None
        if existing and existing.source == source:
            yield day, existing, None
            continue
        began = time.perf_counter()
        # the world's methods have the datasets' names
        tables = getattr(world, dataset)(day)
        if watch:
            tables = _watched(tables, f"{title.name}/{dataset}", day, watch)
        manifest = write_partition(title.name, dataset, day, tables, source=source)
        yield day, manifest, time.perf_counter() - began


def _watched(
    tables: Iterable["pa.Table"], asset: str, day: date, watch: Watch
) -> Iterator["pa.Table"]:
    for table in tables:
        yield table
        watch(asset, day, table.num_rows)


def _landed_partitions(
    title: Title, dataset: str, days: Iterable[date]
) -> Iterator[tuple[date, Manifest, float | None]]:
    """The landed partitions. A day of which nothing was landed is an empty one: the load empties
    it."""
    for day in days:
        yield day, read_manifest(title.name, dataset, day) or NOTHING_LANDED, None
