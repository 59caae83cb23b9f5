"""The event log's raw tables as assets: a partition is a batch, in files and in DuckDB."""

# no `from __future__ import annotations`: Dagster reads the annotations of an asset's parameters

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from sprint_platform.core.locks import hold
from sprint_platform.engines.load import Mode
from sprint_platform.eventlog.contracts import DOMAIN, RAW_TABLES
from sprint_platform.eventlog.load import load
from sprint_platform.eventlog.settings import LAST_BATCH, BatchSettings
from sprint_platform.eventlog.warehouse import in_duckdb
from sprint_platform.orchestration.code_references import PACKAGE, code_references
from sprint_platform.orchestration.failures import ClearFailure, failures_in_one_line
from sprint_platform.orchestration.policies import OWNERS, numbered_partitions
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_window import run_batches

if TYPE_CHECKING:
    from sprint_platform.eventlog.files import BatchFile

BATCHES = numbered_partitions(LAST_BATCH)
# What each table is made from.
MADE_FROM = {
    "raw_players": (),
    "raw_sessions": ("raw_players",),
    "raw_game_events": ("raw_players", "raw_sessions"),
}


class Batch(dg.Config):
    """The settings of the run's batches; what is left out comes from the environment or is the
    default. The days follow from the batch's number."""

    players: int | None = Field(None, description="How many players (N_PLAYERS, or 2000).")
    max_sessions: int | None = Field(
        None, description="Most sessions of a player (MAX_SESSIONS_PER_PLAYER, or 25)."
    )
    game_version: str | None = Field(None, description="GAME_VERSION, or 1.0.3.")
    seed: int | None = Field(None, description="GAME_DATA_SEED, or 42.")
    start: str | None = Field(None, description="First day, YYYY-MM-DD.")
    end: str | None = Field(None, description="Last day; thirty days after the first.")


def table_key(table: str) -> dg.AssetKey:
    """The asset of a raw table."""
    return dg.AssetKey([DOMAIN, table])


def build_eventlog_assets() -> list[dg.AssetsDefinition]:
    """The three raw tables: players, then their sessions, then what happened in them."""

    @_raw_table("raw_players")
    def raw_players(
        context: dg.AssetExecutionContext, warehouse: Warehouse, config: Batch
    ) -> dg.MaterializeResult:
        given = config.model_dump()

        def settings_of(batch: int) -> BatchSettings:
            return BatchSettings.read({**given, "batch": batch})

        return _make(context, warehouse, "raw_players", settings_of)

    return [raw_players, _made_from_others("raw_sessions"), _made_from_others("raw_game_events")]


def _made_from_others(table: str) -> dg.AssetsDefinition:
    @_raw_table(table)
    def raw_table(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        return _make(context, warehouse, table, partial(upstream, table))

    made: dg.AssetsDefinition = raw_table
    return made


def _raw_table(table: str) -> Callable[..., Any]:
    contract = RAW_TABLES[table]
    spec = dg.AssetSpec(
        table_key(table),
        deps=[table_key(parent) for parent in MADE_FROM[table]],
        description=f"One row is {contract.one_row_is}, raw: as a game's backend delivers it.",
        group_name=DOMAIN,
        kinds={"python", "csv", "duckdb"},
        owners=OWNERS,
        metadata={
            **code_references(PACKAGE / "eventlog/generation/batch.py", _make),
            "dagster/table_name": f"eventlog_raw.{table}",
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(c.name, c.type, description=c.meaning) for c in contract.columns
                ]
            ),
        },
    )
    return dg.multi_asset(
        name=f"eventlog_{table}",
        specs=[spec],
        partitions_def=BATCHES,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )


def upstream(table: str, batch: int) -> BatchSettings:
    """The settings that the tables that this one is made from were made with. Raises ClearFailure
    where one is missing, or made with others."""
    from sprint_platform.eventlog.files import BatchFileError, batch_dir, read_table_file

    made: BatchSettings | None = None
    for parent in MADE_FROM[table]:
        try:
            file = read_table_file(batch_dir(batch), parent)
        except BatchFileError as error:
            raise ClearFailure(
                f"eventlog/{table} for batch {batch} needs eventlog/{parent}: materialize it for"
                f" {batch} first ({error})"
            ) from None
        if made is not None and file.settings != made:
            raise ClearFailure(
                f"eventlog/{parent} for batch {batch} was made with other settings than"
                f" eventlog/{MADE_FROM[table][0]}: materialize eventlog/{parent} for {batch} again"
            )
        made = file.settings
    assert made is not None
    return made


def _make(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    table: str,
    settings_of: Callable[[int], BatchSettings],
) -> dg.MaterializeResult:
    """Writes the table's files of the run's batches, and replaces those batches in the table."""
    # polars and the generation: only when something is generated
    from sprint_platform.eventlog.files import batch_dir, batch_lock, write_table

    rows = 0
    began = time.perf_counter()
    holder = f"eventlog/{table} of run {context.run.run_id}"
    with failures_in_one_line(), ExitStack() as folders:
        files = {}
        for batch in run_batches(context):
            # held until it is loaded: another run of this batch would change what is loaded here
            folders.enter_context(hold(batch_lock(batch_dir(batch)), holder))
            settings = settings_of(batch)
            context.log.info(
                f"batch {batch}: {settings.players:,} players, seed {settings.seed},"
                f" {settings.start} to {settings.end}"
            )
            started = time.perf_counter()
            files[batch] = file = write_table(settings, table, batch_dir(batch))
            rows += file.rows
            context.add_asset_metadata(
                _metadata(file, time.perf_counter() - started),
                table_key(table),
                partition_key=str(batch),
            )
        with warehouse.get_connection(holder) as con:
            target = in_duckdb(con)
            for batch, file in files.items():
                load(target, {table: file.path}, Mode.REPLACE, batch)
    seconds = time.perf_counter() - began
    return dg.MaterializeResult(
        metadata={"seconds": round(seconds, 3), "rows_per_second": round(rows / seconds)}
    )


def _metadata(file: "BatchFile", seconds: float) -> dict[str, Any]:
    settings = file.settings
    return {
        "dagster/partition_row_count": file.rows,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "seconds_to_write": round(seconds, 3),
        "days": f"{settings.start} to {settings.end}",
        "players": settings.players,
        "seed": settings.seed,
    }
