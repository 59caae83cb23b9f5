"""The store's bronze tables as daily-partitioned assets: partition files, loaded into DuckDB."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from functools import partial

import dagster as dg

from sprint_platform.core.settings import SettingsError, settings
from sprint_platform.orchestration.code_references import PACKAGE
from sprint_platform.orchestration.dataset_step import Made, dataset_spec, make_partition, reuses
from sprint_platform.orchestration.failures import failures_in_one_line
from sprint_platform.orchestration.policies import daily_partitions
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import run_window, with_progress
from sprint_platform.storefront.contracts import BRONZE, BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.settings import FIRST_DAY


def opening_day() -> date:
    """The day on which a store of the project's settings opens. A wrong setting fails the run, but
    not the games' graph."""
    try:
        return settings().store_start or FIRST_DAY
    except SettingsError:
        return FIRST_DAY


DAYS = daily_partitions(opening_day())


def table_key(table: str) -> dg.AssetKey:
    """The asset of a bronze table."""
    return dg.AssetKey([DOMAIN, table])


def build_storefront_assets() -> dg.AssetsDefinition:
    """The seven tables in one step: a day's orders are made once for all of them, and one
    transaction loads what the run selected."""

    @dg.multi_asset(
        name=f"{DOMAIN}_bronze",
        specs=[_spec(table) for table in BRONZE_TABLES],
        can_subset=True,
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def bronze(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult]:
        # numpy and the name lists: only when something is made
        from sprint_platform.storefront.duckdb_target import held_store, load_days, refuse_others
        from sprint_platform.storefront.files import note_store, refuse_other_files
        from sprint_platform.storefront.generation.store import Store
        from sprint_platform.storefront.held import choose_settings

        window = run_window(context)
        assert window is not None  # the assets have days, and no check of their own
        tables = [t for t in BRONZE_TABLES if table_key(t) in context.selected_asset_keys]
        rows: Counter[str] = Counter()
        seconds = dict.fromkeys(tables, 0.0)
        with failures_in_one_line():
            holder = f"{DOMAIN} of run {context.run.run_id}"
            with warehouse.get_connection(holder) as con:
                store = Store(choose_settings(held_store(con), {}))
                # before the files of the loaded store are written over
                refuse_others(con, store)
            refuse_other_files(store.source, tables, window.days)
            note_store(store)
            made = store.settings
            context.log.info(
                f"a store of {made.customers:,} customers, {made.products:,} products and"
                f" {made.orders:,} orders in its first {made.days} days, seed {made.seed}"
            )
            reuse = reuses(context)
            for day in with_progress(context, window.days):
                for table in tables:
                    began = time.perf_counter()
                    records = partial(store.table, table, day)
                    partition = make_partition(
                        DOMAIN, BRONZE_TABLES[table], day, store.source, records, reuse
                    )
                    seconds[table] += time.perf_counter() - began
                    rows[table] += partition.manifest.rows
                    # a day's orders are made with the first table that needs them: the seconds of
                    # one partition say nothing
                    metadata = Made(partition.manifest).metadata()
                    context.add_asset_metadata(metadata, table_key(table), partition_key=str(day))
            with warehouse.get_connection(holder) as con:
                report = load_days(con, tables, window.days, store)
        for load in report.tables:
            yield dg.MaterializeResult(
                asset_key=table_key(load.table),
                metadata={
                    "seconds": round(seconds[load.table], 3),
                    "rows_per_second": round(rows[load.table] / seconds[load.table]),
                    "load_seconds_of_all": round(report.seconds, 3),
                    "days_loaded": len(load.loaded),
                },
            )

    return bronze


def _spec(table: str) -> dg.AssetSpec:
    contract = BRONZE_TABLES[table]
    return dataset_spec(
        DOMAIN,
        contract,
        f"One row is {contract.one_row_is}, as the {contract.source_system} system delivers it.",
        [PACKAGE / "storefront/generation/store.py", build_storefront_assets],
        group_name=f"{DOMAIN}_{BRONZE}",
        # with can_subset, an asset that is not selected makes no result
        skippable=True,
    )
