"""Fills the ledger of a database of the version before, which had no ledger of what is built.

Nothing is made, loaded or built for it. What was built counts as built by a definition that is not
today's: the ledger calls it stale until it is built again. This can go when no such database is
left.
"""

from __future__ import annotations

from datetime import date

import duckdb
import pyarrow as pa

from sprint_platform.storage.partitions import PartitionError, read_manifest

# The definition and the invocation that the ledger has for what was built.
VERSION_BEFORE = "the version before"
# The columns that the version before took for a mart's period, and the kind of period.
PERIOD_COLUMNS = {
    "calendar_day": "day", "calendar_date": "day", "event_date": "day", "year_week": "week",
    "order_date": "day", "stock_date": "day", "year_month": "month", "sales_month": "month",
    "load_batch_id": "batch",
}  # fmt: skip
# Published now, but not by the version before.
ENCOUNTERS = ("stage_encounters", "stage_conflicts")


def take_over_days(
    con: duckdb.DuckDBPyConnection, name: str, schema: str, model_schemas: tuple[str, ...]
) -> None:
    """Fills the ledger of a title or domain of days, in the caller's transaction. ``name`` and
    ``schema`` are the ledger's."""
    landed = con.execute(
        "select count(*) from information_schema.tables"
        " where table_schema = ? and table_name = 'built_partitions'",
        [schema],
    ).fetchone()
    # a landed title's days were noted when all of their models were built
    table = "built_partitions" if landed and landed[0] else "loaded_partitions"
    built = f"select dataset, partition_date as period, digest from {schema}.{table}"
    take_over(con, schema, model_schemas, built)
    _allow_nulls(con, model_schemas)
    _note_files(con, name, schema)


def take_over_batches(
    con: duckdb.DuckDBPyConnection, schema: str, model_schemas: tuple[str, ...]
) -> None:
    """Fills the ledger of a domain of batches, in the caller's transaction. For the version before,
    a batch was built where its facts had as many rows as were loaded."""
    rows: dict[str, str] = {}
    for table_schema, table in con.execute(
        "select table_schema, table_name from information_schema.columns"
        " where column_name = 'load_batch_id' and table_schema in (select unnest(?))"
        " and table_name <> 'loaded_batches'",
        [[schema, *model_schemas]],
    ).fetchall():
        rows[table] = f"select load_batch_id, count(*) from {table_schema}.{table} group by 1"
        if table_schema == schema:
            con.execute(
                f"insert into {schema}.loaded_batches select ?, load_batch_id,"
                f" count(*) || ' rows' from {schema}.{table} group by load_batch_id",
                [table],
            )
    if not {"raw_sessions", "raw_game_events", "fct_sessions", "fct_game_events"} <= rows.keys():
        return
    same = " intersect ".join(
        f"select load_batch_id from ({rows[f'raw_{facts}']} intersect {rows[f'fct_{facts}']})"
        for facts in ("sessions", "game_events")
    )
    built = (
        f"select dataset, load_batch_id as period, digest from {schema}.loaded_batches"
        f" where load_batch_id in ({same})"
    )
    take_over(con, schema, model_schemas, built)


def take_over(
    con: duckdb.DuckDBPyConnection, schema: str, model_schemas: tuple[str, ...], built: str
) -> None:
    """Notes the tables in ``model_schemas`` as built from what the query ``built`` gives (dataset,
    period, digest), in the caller's transaction."""
    tables = con.execute(
        "select table_schema, table_name, list(column_name order by ordinal_position)"
        " from information_schema.columns"
        " where table_schema in (select unnest(?)) group by all order by all",
        [list(model_schemas)],
    ).fetchall()
    for table_schema, table, columns in tables:
        con.execute(
            f"insert into {schema}.built_from select ?, dataset, cast(period as varchar), digest,"
            f" ?, ?, true from ({built}) as built",
            [table, VERSION_BEFORE, VERSION_BEFORE],
        )
        column = next((name for name in columns if name in PERIOD_COLUMNS), None)
        # heartbeats and their centroids are many, and nobody publishes them
        if not (table_schema.endswith("mart") or table_schema == "gold" or table in ENCOUNTERS):
            continue
        # a record that landing refused may have no day
        period = f"coalesce(cast({column} as varchar), '')" if column else "''"
        con.execute(
            f"insert into {schema}.built_periods select ?, {period}, count(*), ?, true"
            f" from {table_schema}.{table} group by 2",
            [table, VERSION_BEFORE],
        )


def _allow_nulls(con: duckdb.DuckDBPyConnection, model_schemas: tuple[str, ...]) -> None:
    """Lets every column be null: some may be now (those that look back over a missing day), and the
    models' tests say which may not."""
    for schema, table, column in con.execute(
        "select schema_name, table_name, column_name from duckdb_columns()"
        " where not is_nullable and schema_name in (select unnest(?))",
        [list(model_schemas)],
    ).fetchall():
        con.execute(f'alter table {schema}.{table} alter column "{column}" drop not null')


def _note_files(con: duckdb.DuckDBPyConnection, title: str, schema: str) -> None:
    """Notes the files that the days' heartbeats were loaded from: their view is made of them."""
    days: list[date] = []
    files: list[list[str]] = []
    for day, digest in con.execute(
        f"select partition_date, digest from {schema}.loaded_partitions"
        " where dataset = 'heartbeats' and files is null"
    ).fetchall():
        try:
            manifest = read_manifest(title, "heartbeats", day)
        except PartitionError:
            continue  # damaged: a read of that day says so
        if manifest is not None and manifest.digest == digest:
            days.append(day)
            files.append([part.name for part in manifest.parts])
    noted = pa.table(
        {
            "day": pa.array(days, pa.date32()),
            "files": pa.array(files, pa.list_(pa.string())),
        }
    )
    con.register("noted_files", noted)
    con.execute(
        f"update {schema}.loaded_partitions set files = noted_files.files from noted_files"
        " where dataset = 'heartbeats' and partition_date = noted_files.day"
    )
    con.unregister("noted_files")
