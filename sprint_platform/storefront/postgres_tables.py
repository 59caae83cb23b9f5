"""The bronze tables in PostgreSQL: made from the contract where they are missing, else compared.

Times are ``timestamp with time zone``, in sessions whose zone is UTC, so that a reader in another
zone sees the same moment. ``event_date`` is the UTC day of a row's partition file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import repeat
from typing import TYPE_CHECKING

from sprint_platform.dataset import DAY_COLUMN, Column, Dataset
from sprint_platform.storefront.contracts import BRONZE, BRONZE_TABLES
from sprint_platform.storefront.postgres_url import Place, PostgresError

if TYPE_CHECKING:
    from psycopg import Connection

LEDGER, STORE = "loaded_days", "loaded_store"
# What lies beside the bronze tables, and is made and compared as they are.
_BESIDE = {
    table.name: table
    for table in (
        Dataset(
            LEDGER,
            "bronze",
            LEDGER,
            "a day of a table that was loaded: its records, and the store they are of",
            (DAY_COLUMN, "table_name"),
            (
                Column(DAY_COLUMN, "date", "the UTC day"),
                Column("table_name", "text", "the table"),
                Column("rows", "bigint", "how many records it has"),
                Column("digest", "text", "of the records"),
                Column("source", "text", "the store's fingerprint"),
                Column("loaded_at", "moment", "when it was loaded", default="now()"),
            ),
            partition_column=None,
        ),
        Dataset(
            STORE,
            "bronze",
            STORE,
            "the store that is loaded: what its records come from, and its settings",
            ("source",),
            (
                Column("source", "text", "the store's fingerprint"),
                Column("settings", "json", "what decides its records"),
            ),
            partition_column=None,
        ),
    )
}
TABLES = BRONZE_TABLES | _BESIDE
# Each partition that a transaction makes takes some places in the server's table of locks.
DAYS_AT_A_TIME = 90
PARTITION_KEY, PRIMARY_KEY = "the partition key", "the primary key"


def make_tables(connection: Connection, place: Place) -> None:
    """Makes the schema, the seven tables, the ledger and the table of the store's settings where
    they are missing, all or none.

    Raises PostgresError where one is there and is not as the contract says.
    """
    found = connection.execute("select to_regnamespace(%s) is not null", [BRONZE]).fetchone()
    there = _existing(connection)
    for table in TABLES.values():
        if table.name in there:
            _compare(table, there[table.name], place)
    with connection.transaction():
        # asked first: "create if not exists" takes the right to create
        if found != (True,):
            with place.in_one_line(
                f"there is no schema {BRONZE}, and it could not be made (its owner-to-be may:"
                f" create schema {BRONZE} authorization {place.user})"
            ):
                connection.execute(f"create schema {BRONZE}")
        # a version that did not note the store may have made the others
        for table in TABLES.values():
            if table.name not in there:
                connection.execute("; ".join(_definition(table)))


def make_partitions(connections: Sequence[Connection], days: Sequence[date]) -> None:
    """Makes the days' partitions where they are missing, table by table over the connections, and
    some days in a transaction, which holds the table alone meanwhile. Partitions that a failure
    leaves are empty, and do no harm."""
    parents = [table for table in BRONZE_TABLES.values() if table.by_day]
    # a partition is four new files: their server's processes do that side by side
    with ThreadPoolExecutor(len(connections)) as pool:
        shares = [parents[nth :: len(connections)] for nth in range(len(connections))]
        for _ in pool.map(_make_partitions, connections, shares, repeat(days)):
            pass


def _make_partitions(
    connection: Connection, parents: Sequence[Dataset], days: Sequence[date]
) -> None:
    for table in parents:
        there = {
            name
            for (name,) in connection.execute(
                "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
                " where i.inhparent = %s::regclass",
                [f"{BRONZE}.{table.name}"],
            )
        }
        missing = [
            f"create table {BRONZE}.{partition} partition of {BRONZE}.{table.name}"
            f" for values from ('{day}') to ('{day + timedelta(days=1)}')"
            for day in days
            if (partition := f"{table.name}_{day:%Y%m%d}") not in there
        ]
        for start in range(0, len(missing), DAYS_AT_A_TIME):
            with connection.transaction():
                connection.execute("; ".join(missing[start : start + DAYS_AT_A_TIME]))


def _parted(table: Dataset) -> bool:
    return table.by_day and table.partition_column is not None


def _key(table: Dataset) -> str:
    # a partitioned table's key has to hold the column that it is partitioned by
    return f"PRIMARY KEY ({', '.join((DAY_COLUMN, *table.key) if _parted(table) else table.key)})"


def _wanted(table: Dataset) -> dict[str, str]:
    """The table's columns and keys, as `_existing` finds them."""
    partition_key = {PARTITION_KEY: f"RANGE ({DAY_COLUMN})"} if _parted(table) else {}
    columns = {c.name: c.definition("postgres") for c in table.table_columns}
    return columns | partition_key | {PRIMARY_KEY: _key(table)}


def _existing(connection: Connection) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for relation, what, definition in connection.execute(
        "with relations as (select oid, relname from pg_class"
        " where relnamespace = to_regnamespace(%(schema)s) and relname = any(%(names)s))"
        " select r.relname, a.attname, format_type(a.atttypid, a.atttypmod)"
        " || case when a.attnotnull then ' not null' else '' end"
        " from relations r join pg_attribute a on a.attrelid = r.oid"
        " where a.attnum > 0 and not a.attisdropped"
        " union all select r.relname, %(partition_key)s, pg_get_partkeydef(r.oid)"
        " from relations r where pg_get_partkeydef(r.oid) is not null"
        " union all select r.relname, %(primary_key)s, pg_get_constraintdef(c.oid)"
        " from relations r join pg_constraint c on c.conrelid = r.oid and c.contype = 'p'",
        {
            "schema": BRONZE,
            "names": list(TABLES),
            "partition_key": PARTITION_KEY,
            "primary_key": PRIMARY_KEY,
        },
    ):
        found.setdefault(relation, {})[what] = definition
    return found


def _compare(table: Dataset, there: dict[str, str], place: Place) -> None:
    wanted = _wanted(table)
    different = sorted({what for what, _ in wanted.items() ^ there.items()})
    if different:
        what = different[0]
        raise PostgresError(
            f"{BRONZE}.{table.name} is there with other columns or keys than the contract's"
            f" ({', '.join(different)}): {what} is {there.get(what, 'missing')}, and should be"
            f" {wanted.get(what, 'missing')} ({place.described}, user {place.user}): drop the"
            " table, or give it another name, and load again"
        )


def _definition(table: Dataset) -> Iterator[str]:
    relation = f"{BRONZE}.{table.name}"
    by_day = f" partition by range ({DAY_COLUMN})" if _parted(table) else ""
    yield f"create table {relation} ({table.definitions('postgres')}, {_key(table)}){by_day}"
    yield f"comment on table {relation} is {_text(f'One row is {table.one_row_is}.')}"
    for column in table.table_columns:
        meaning = column.meaning + (f" ({column.unit})" if column.unit else "")
        yield f"comment on column {relation}.{column.name} is {_text(meaning)}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
