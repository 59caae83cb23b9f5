"""A database of PostgreSQL's as an engine. A load only adds: a row whose key is there stays.

Tables are made from the contract where they are missing, else compared. Times are ``timestamp with
time zone``, in sessions whose zone is UTC, so that a reader in another zone sees the same moment.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from sprint_platform.dataset import DAY_COLUMN, Column, Dataset
from sprint_platform.engines.engine import Engine
from sprint_platform.engines.postgres_url import Place, PostgresError
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storage.partitions import Manifest, P, PartitionError, Period, checked_paths

# What is loaded, as DuckDB's ledger says it.
LOADED_DAYS = Dataset(
    name="loaded_days",
    schema="bronze",
    table="loaded_days",
    one_row_is="a day of a table that was loaded: its records, and the store they are of",
    key=(DAY_COLUMN, "table_name"),
    columns=(
        Column(DAY_COLUMN, "date", "the UTC day"),
        Column("table_name", "text", "the table"),
        Column("rows", "bigint", "how many records it has"),
        Column("digest", "text", "of the records"),
        Column("source", "text", "what the records come from: the store's fingerprint"),
        Column("loaded_at", "moment", "when it was loaded", default="now()"),
    ),
    partition_column=None,
)
# The server notices the end of a connection a moment after the client has ended it.
ENDED_SECONDS = 2
# Each partition that a transaction makes takes some places in the server's table of locks.
DAYS_AT_A_TIME = 90
ROWS_TO_TRUNCATE = 1000
PARTITION_KEY, PRIMARY_KEY = "the partition key", "the primary key"


class Stopped(Exception):
    """Another connection's load failed, or somebody interrupted."""


def advisory_lock(schema: str) -> int:
    """The number of the lock by which loads into a schema exclude each other: its name in bytes."""
    return int.from_bytes(schema.encode()[:7], "big")


class PostgresEngine(Engine):
    """A schema of the database, on a connection of its own.

    ``batch_size`` is how many rows are read and sent at a time; ``stopping`` ends loads of all
    engines that share it. Raises PostgresError.
    """

    def __init__(
        self,
        place: Place,
        ledger: Ledger,
        tables: Collection[Dataset],
        batch_size: int = 50_000,
        stopping: threading.Event | None = None,
    ) -> None:
        super().__init__(ledger, (*tables, LOADED_DAYS))
        self.place = place
        self.batch_size = batch_size
        self.stopping = stopping or threading.Event()
        self.connection = place.connect(ledger.name)

    @property
    def described(self) -> str:
        return self.place.described

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        return self.connection.execute(sql, parameters or None).rowcount

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple]:
        return self.connection.execute(sql, parameters or None).fetchall()

    def transaction(self) -> AbstractContextManager[object]:
        return self.connection.transaction()

    def is_there(self, table: Dataset) -> bool:
        """Whether there is a table of this name."""
        return self.rows("select to_regclass(%s)", [self.relation(table)]) != [(None,)]

    def exclude_others(self) -> None:
        """Takes the right to load, which ends with the connection, also where the process is
        killed. Raises PostgresError where another load has it."""
        from psycopg.errors import LockNotAvailable

        schema = self.ledger.schema
        with suppress(LockNotAvailable), self.transaction():
            self.execute(f"set local lock_timeout to '{ENDED_SECONDS}s'")
            self.rows("select pg_advisory_lock(%s)", [advisory_lock(schema)])
            return
        holder = self.rows(
            "select a.usename, a.pid from pg_locks l join pg_stat_activity a using (pid)"
            " where l.locktype = 'advisory' and l.granted and l.database ="
            " (select oid from pg_database where datname = current_database())"
            " and (l.classid::bigint << 32) | l.objid::bigint = %s",
            [advisory_lock(schema)],
        )
        who = "user {}, server process {}".format(*holder[0]) if holder else "which has just ended"
        raise PostgresError(
            f"another load into {schema} is under way ({self.described}; {who}): load again when it"
            " has ended"
        )

    def ensure_tables(self) -> None:
        """Makes the schema and the tables, the ledger among them, where they are missing, all or
        none. Raises PostgresError where one is there and is not as the contract says."""
        schema = self.ledger.schema
        found = self.rows("select to_regnamespace(%s) is not null", [schema])
        there = self._found()
        for table in self.tables:
            if table.table in there:
                self._refuse_other(table, there[table.table])
        with self.transaction():
            # asked first: "create if not exists" takes the right to create
            if found != [(True,)]:
                with self.place.in_one_line(
                    f"there is no schema {schema}, and it could not be made (its owner-to-be may:"
                    f" create schema {schema} authorization {self.place.user})"
                ):
                    self.execute(f"create schema {schema}")
            # another version may have made some of them
            for table in self.tables:
                if table.table not in there:
                    self.execute("; ".join(self._definition(table)))

    def ensure_partitions(self, tables: Collection[Dataset], days: Sequence[date]) -> None:
        """Makes the days' partitions of those of the tables that have some, where they are missing:
        some days in a transaction, which holds the table alone meanwhile. Partitions that a failure
        leaves are empty, and do no harm."""
        for table in filter(parted, tables):
            relation = self.relation(table)
            there = {
                name
                for (name,) in self.rows(
                    "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
                    " where i.inhparent = %s::regclass",
                    [relation],
                )
            }
            missing = [
                f"create table {relation}_{day:%Y%m%d} partition of {relation}"
                f" for values from ('{day}') to ('{day + timedelta(days=1)}')"
                for day in days
                if f"{table.table}_{day:%Y%m%d}" not in there
            ]
            for start in range(0, len(missing), DAYS_AT_A_TIME):
                with self.transaction():
                    self.execute("; ".join(missing[start : start + DAYS_AT_A_TIME]))

    def begin_days(self) -> None:
        """Prepares the connection for loading days one after another."""
        # a day does not wait for the disk, which took a quarter of the time: `settle` does
        self.execute("set synchronous_commit to off")
        for table in self._loadable():
            self.execute(
                f"create temporary table {_staged(table)} as"
                f" select {_names(table)} from {self.relation(table)} with no data"
            )

    def settle(self) -> None:
        """Waits until all that was committed is on the disk: the server has one log for all
        connections, so a commit that waits, of something that is logged, has waited for those
        before it."""
        with self.place.in_one_line("the last days may not have been stored: load again"):
            self.execute("set synchronous_commit to on")
            self.execute(f"drop table {', '.join(map(_staged, self._loadable()))}")

    def cancel(self) -> None:
        """Ends what is under way; it is rolled back in its own thread."""
        import psycopg

        # a broken connection cannot be cancelled, and has nothing under way
        with suppress(psycopg.Error):
            self.connection.cancel_safe(timeout=5)

    def insert_partitions(self, table: Dataset, manifests: Mapping[P, Manifest]) -> int:
        """Inserts the rows of partition files whose key is not in the table; returns how many.
        Raises PartitionError for a damaged file."""
        added = 0
        for day, manifest in manifests.items():
            with self._loading(table, day):
                if self._is_fresh(table, day):
                    added += self._copy(self.relation(table), table, day, manifest)
                    continue
                self._copy(_staged(table), table, day, manifest)
                names = _names(table)
                added += self.execute(
                    f"insert into {self.relation(table)} ({names}) select {names}"
                    f" from {_staged(table)} on conflict do nothing"
                )
                # truncate makes new files: for the few rows of most days that took longer than
                # all else, and so did `on commit delete rows`, which truncates all of them
                many = manifest.rows > ROWS_TO_TRUNCATE
                self.execute(f"{'truncate' if many else 'delete from'} {_staged(table)}")
        return added

    def loaded(self, table: Dataset) -> dict[Period, str]:
        found = self.rows(
            f"select {DAY_COLUMN}, digest from {self.relation(LOADED_DAYS)} where table_name = %s",
            [table.name],
        )
        return dict(found)

    def record(self, table: Dataset, manifests: Mapping[P, Manifest]) -> None:
        """Notes what these days were loaded from, in the caller's transaction."""
        for day, manifest in manifests.items():
            with self._loading(table, day):
                self.execute(
                    f"insert into {self.relation(LOADED_DAYS)}"
                    " (event_date, table_name, rows, digest, source)"
                    " values (%s, %s, %s, %s, %s) on conflict do nothing",
                    [day, table.name, manifest.rows, manifest.digest, manifest.source],
                )

    def _loading(self, table: Dataset, day: Period) -> AbstractContextManager[None]:
        return self.place.in_one_line(f"{day} was not loaded, for {self.relation(table)}")

    def _loadable(self) -> list[Dataset]:
        return [table for table in self.tables if table.partition_column]

    def _is_fresh(self, table: Dataset, day: Period) -> bool:
        """Whether no key of the day can be there: then a COPY goes straight into the table, in half
        the time of one that is staged and inserted. The key of a table without partitions holds
        over all its days, so there the answer is False."""
        if not parted(table):
            return False
        there = f"select exists (select from {self.relation(table)} where {DAY_COLUMN} = %s)"
        return self.rows(there, [day]) == [(False,)]

    def _copy(self, relation: str, table: Dataset, day: Period, manifest: Manifest) -> int:
        if not manifest.parts:
            return 0
        with self.connection.cursor() as cursor:
            with cursor.copy(
                f"copy {relation} ({_names(table)}) from stdin (format csv)"
            ) as copying:
                for batch in self._batches(table, day, manifest):
                    if self.stopping.is_set():
                        raise Stopped
                    copying.write(_csv(batch, day))
            if cursor.rowcount != manifest.rows:
                raise PartitionError(
                    f"{manifest.folder} holds {cursor.rowcount} rows, but its manifest says"
                    f" {manifest.rows}: generate {day} again; nothing of it was loaded"
                )
            return cursor.rowcount

    def _batches(self, table: Dataset, day: Period, manifest: Manifest) -> Iterator[pa.RecordBatch]:
        for path in checked_paths(manifest, f"{self.ledger.name}/{table.name}", day):
            try:
                with pq.ParquetFile(path, page_checksum_verification=True) as file:
                    # files are small, and other days are loaded meanwhile: threads would only cost
                    yield from file.iter_batches(
                        self.batch_size, columns=table.column_names, use_threads=False
                    )
            except (pa.ArrowException, OSError) as error:
                raise PartitionError(f"{path} is damaged: generate {day} again") from error

    def _found(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        with self.connection.cursor() as cursor:
            cursor.execute(
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
                    "schema": self.ledger.schema,
                    "names": [table.table for table in self.tables],
                    "partition_key": PARTITION_KEY,
                    "primary_key": PRIMARY_KEY,
                },
            )
            for relation, what, definition in cursor:
                found.setdefault(relation, {})[what] = definition
        return found

    def _wanted(self, table: Dataset) -> dict[str, str]:
        partition_key = {PARTITION_KEY: f"RANGE ({DAY_COLUMN})"} if parted(table) else {}
        columns = {c.name: c.definition("postgres") for c in table.table_columns}
        return columns | partition_key | {PRIMARY_KEY: _key(table)}

    def _refuse_other(self, table: Dataset, there: dict[str, str]) -> None:
        wanted = self._wanted(table)
        different = sorted({what for what, _ in wanted.items() ^ there.items()})
        if different:
            what = different[0]
            raise PostgresError(
                f"{self.relation(table)} is there with other columns or keys than the contract's"
                f" ({', '.join(different)}): {what} is {there.get(what, 'missing')}, and should be"
                f" {wanted.get(what, 'missing')} ({self.described}, user {self.place.user}): drop"
                " the table, or give it another name, and load again"
            )

    def _definition(self, table: Dataset) -> Iterator[str]:
        relation = self.relation(table)
        by_day = f" partition by range ({DAY_COLUMN})" if parted(table) else ""
        yield f"create table {relation} ({table.definitions('postgres')}, {_key(table)}){by_day}"
        yield f"comment on table {relation} is {_text(f'One row is {table.one_row_is}.')}"
        for column in table.table_columns:
            meaning = column.meaning + (f" ({column.unit})" if column.unit else "")
            yield f"comment on column {relation}.{column.name} is {_text(meaning)}"


def parted(table: Dataset) -> bool:
    """Whether the table has a partition for each day."""
    return table.by_day and table.partition_column is not None


def _key(table: Dataset) -> str:
    # a partitioned table's key has to hold the column that it is partitioned by
    return f"PRIMARY KEY ({', '.join((DAY_COLUMN, *table.key) if parted(table) else table.key)})"


def _staged(table: Dataset) -> str:
    return f"pg_temp.staged_{table.name}"


def _names(table: Dataset) -> str:
    return ", ".join((*table.column_names, DAY_COLUMN))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _csv(batch: pa.RecordBatch, day: Period) -> memoryview:
    """The rows and their day as CSV. Texts are quoted, so that PostgreSQL distinguishes a null from
    an empty one. Arrow's writer takes half of the time of polars', and for some thirty
    rows a tenth."""
    columns = [
        # CSV knows no uuid
        pa.array([str(value) if value else None for value in column.to_pylist()], pa.string())
        if isinstance(column.type, pa.UuidType)
        else column
        for column in batch.columns
    ]
    columns.append(pa.repeat(pa.scalar(day, pa.date32()), batch.num_rows))
    table = pa.table(columns, names=[*batch.schema.names, DAY_COLUMN])
    text = io.BytesIO()
    csv.write_csv(table, text, csv.WriteOptions(include_header=False))
    return text.getbuffer()
