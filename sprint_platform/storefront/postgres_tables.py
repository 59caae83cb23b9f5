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

from sprint_platform.storefront.contracts import BRONZE, BRONZE_TABLES, BronzeTable
from sprint_platform.storefront.postgres_url import Place, PostgresError

if TYPE_CHECKING:
    from psycopg import Connection

# logical type -> PostgreSQL's, as its catalogue spells it
TYPES = {
    "bigint": "bigint",
    "text": "text",
    "timestamp": "timestamp with time zone",
    "date": "date",
    "money": "numeric(9,2)",
    "integer": "integer",
    "small": "smallint",
    "flag": "boolean",
    "uuid": "uuid",
    "json": "jsonb",
}
DAY_COLUMN = "event_date"
LEDGER = "loaded_days"
LEDGER_COLUMNS = {
    "event_date": "date not null",
    "table_name": "text not null",
    "rows": "bigint not null",
    "digest": "text not null",
    "source": "text not null",
    "loaded_at": "timestamp with time zone not null",
}
STORE = "loaded_store"
STORE_COLUMNS = {"source": "text not null", "settings": "jsonb not null"}
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
    for name, wanted in _wanted().items():
        _compare(name, wanted, there.get(name, wanted), place)
    with connection.transaction():
        # asked first: "create if not exists" takes the right to create
        if found != (True,):
            with place.in_one_line(
                f"there is no schema {BRONZE}, and it could not be made (its owner-to-be may:"
                f" create schema {BRONZE} authorization {place.user})"
            ):
                connection.execute(f"create schema {BRONZE}")
        for table in BRONZE_TABLES.values():
            if table.name not in there:
                connection.execute("; ".join(_definition(table)))
        if LEDGER not in there:
            connection.execute("; ".join(_ledger_definition()))
        # a version that did not note it may have made the others
        if STORE not in there:
            connection.execute("; ".join(_store_definition()))


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
    connection: Connection, parents: Sequence[BronzeTable], days: Sequence[date]
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


def _columns(table: BronzeTable) -> dict[str, str]:
    """Name -> type, and whether it may be null, of all columns of the table in PostgreSQL."""
    return {
        column.name: TYPES[column.type] + ("" if column.nullable else " not null")
        for column in table.columns
    } | {
        DAY_COLUMN: "date not null",
        "source_system": "text not null",
        "ingestion_timestamp": "timestamp with time zone not null",
    }


def _key(table: BronzeTable) -> str:
    # a partitioned table's key has to hold the column that it is partitioned by
    return f"PRIMARY KEY ({', '.join((DAY_COLUMN, *table.key) if table.by_day else table.key)})"


def _wanted() -> dict[str, dict[str, str]]:
    """Relation -> its columns and keys, as `_existing` finds them."""
    wanted = {}
    for table in BRONZE_TABLES.values():
        partition_key = {PARTITION_KEY: f"RANGE ({DAY_COLUMN})"} if table.by_day else {}
        wanted[table.name] = _columns(table) | partition_key | {PRIMARY_KEY: _key(table)}
    return wanted | {
        LEDGER: LEDGER_COLUMNS | {PRIMARY_KEY: "PRIMARY KEY (event_date, table_name)"},
        STORE: STORE_COLUMNS | {PRIMARY_KEY: "PRIMARY KEY (source)"},
    }


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
            "names": list(_wanted()),
            "partition_key": PARTITION_KEY,
            "primary_key": PRIMARY_KEY,
        },
    ):
        found.setdefault(relation, {})[what] = definition
    return found


def _compare(name: str, wanted: dict[str, str], there: dict[str, str], place: Place) -> None:
    different = sorted({what for what, _ in wanted.items() ^ there.items()})
    if different:
        what = different[0]
        raise PostgresError(
            f"{BRONZE}.{name} is there with other columns or keys than the contract's"
            f" ({', '.join(different)}): {what} is {there.get(what, 'missing')}, and should be"
            f" {wanted.get(what, 'missing')} ({place.described}, user {place.user}): drop the"
            " table, or give it another name, and load again"
        )


def _definition(table: BronzeTable) -> Iterator[str]:
    relation = f"{BRONZE}.{table.name}"
    defaults = {"source_system": _text(table.source_system), "ingestion_timestamp": "now()"}
    columns = [
        f"{name} {kind}{f' default {defaults[name]}' if name in defaults else ''}"
        for name, kind in _columns(table).items()
    ]
    by_day = f" partition by range ({DAY_COLUMN})" if table.by_day else ""
    yield f"create table {relation} ({', '.join((*columns, _key(table)))}){by_day}"
    meanings = {
        column.name: column.meaning + (f" ({column.unit})" if column.unit else "")
        for column in table.columns
    } | {
        DAY_COLUMN: "the UTC day that delivered the row",
        "source_system": "the system that delivered it",
        "ingestion_timestamp": "when it was loaded",
    }
    yield f"comment on table {relation} is {_text(f'One row is {table.one_row_is}.')}"
    for name, meaning in meanings.items():
        yield f"comment on column {relation}.{name} is {_text(meaning)}"


def _ledger_definition() -> Iterator[str]:
    columns = ", ".join(f"{name} {kind}" for name, kind in LEDGER_COLUMNS.items())
    yield (
        f"create table {BRONZE}.{LEDGER} ({columns} default now(),"
        " primary key (event_date, table_name))"
    )
    yield (
        f"comment on table {BRONZE}.{LEDGER} is"
        " 'One row is a day of a table that was loaded: its records, and the store they are of.'"
    )


def _store_definition() -> Iterator[str]:
    columns = ", ".join(f"{name} {kind}" for name, kind in STORE_COLUMNS.items())
    yield f"create table {BRONZE}.{STORE} ({columns}, primary key (source))"
    yield (
        f"comment on table {BRONZE}.{STORE} is"
        " 'One row is the store that is loaded: what its records come from, and its settings.'"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
