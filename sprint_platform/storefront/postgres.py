"""Loading the store's partition files into PostgreSQL: a day of all tables in one transaction.

A load only adds. A row whose key is there stays as it is, so a load that is done again, or that
goes on after a failure, adds what is missing and nothing else.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import date
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from sprint_platform.dataset import DAY_COLUMN, Dataset
from sprint_platform.storage.partitions import (
    Manifest,
    PartitionError,
    checked_paths,
)
from sprint_platform.storefront.contracts import BRONZE, BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.files import manifests_of
from sprint_platform.storefront.held import HeldStore, noted_settings
from sprint_platform.storefront.postgres_tables import (
    LEDGER,
    STORE,
    make_partitions,
    make_tables,
)
from sprint_platform.storefront.postgres_url import Place, PostgresError, read_place
from sprint_platform.storefront.settings import StoreSettings

if TYPE_CHECKING:
    from psycopg import Connection

# The lock by which loads into one database exclude each other; the number is "bronze" in bytes.
ADVISORY_LOCK = int.from_bytes(b"bronze", "big")
# The server notices the end of a connection a moment after the client has ended it.
ENDED_SECONDS = 2
ROWS_TO_TRUNCATE = 1000
EMPTIES = "load with --replace, which empties the seven tables first"

# table -> its partition of a day
Manifests = Mapping[str, Manifest]


@dataclass(frozen=True)
class PostgresLoad:
    """What a load did to a table: rows it added, and rows of the days that were there already."""

    table: str
    added: int
    there_already: int


@dataclass(frozen=True)
class PostgresReport:
    """What a load did, table by table; ``described`` says for people where."""

    tables: tuple[PostgresLoad, ...]
    days: int
    seconds: float
    described: str


def load_days(
    url: str,
    days: Sequence[date],
    source: str,
    settings: StoreSettings,
    replace: bool = False,
    watch: Callable[[date, int], None] | None = None,
    connections: int = 2,
) -> PostgresReport:
    """Adds the days' partitions to the bronze tables, which it makes where they are missing.

    ``source`` is the store's fingerprint, which all partitions must have, and all that is loaded;
    its ``settings`` are noted, and of them ``batch_size`` is how many rows are read and sent at a
    time. ``watch`` is called after each day with the rows of its partitions. ``connections`` days
    are loaded at the same time.

    A day comes whole or not at all. A failure leaves the days that were loaded before it; the same
    load again goes on from there. With ``replace`` the tables are emptied in the transaction of the
    earliest day: a failure up to its end leaves the old records, a later one the new days so far,
    from which a load without ``replace`` goes on.

    Raises PostgresError, and PartitionError for partitions that are missing, damaged or of another
    store.
    """
    began = time.perf_counter()
    place = read_place(url)
    found = {name: manifests_of(name, days, source) for name in BRONZE_TABLES}
    partitions = {
        day: {name: manifests[day] for name, manifests in found.items()}
        for day in sorted(set(days))
    }
    rows = {name: [0, 0] for name in BRONZE_TABLES}
    with ExitStack() as stack:
        opened = []
        for _ in range(max(1, min(connections, len(partitions)))):
            opened.append(place.connect())
            stack.callback(opened[-1].close)
        with place.in_one_line("nothing was loaded"):
            _exclude_others(opened[0], place)
            make_tables(opened[0], place)
            if not replace:
                _refuse_others(opened[0], partitions, source, place)
                # before the days: two that noted it at once would wait for each other's end. A
                # note without days does no harm: the days decide which store is held
                _note_store(opened[0], source, settings)
            make_partitions(opened, list(partitions))
        loader = _Loader(place, opened, source, settings)
        # closed where `watch` raises, too: what is under way ends before its connection does
        with closing(_load_all(loader, partitions, replace)) as loaded:
            for day, loads in loaded:
                for load in loads:
                    rows[load.table][0] += load.added
                    rows[load.table][1] += load.there_already
                if watch:
                    watch(day, sum(load.added + load.there_already for load in loads))
        loader.settle()
    return PostgresReport(
        tables=tuple(PostgresLoad(name, *counts) for name, counts in rows.items()),
        days=len(partitions),
        seconds=time.perf_counter() - began,
        described=place.described,
    )


def held_store(url: str) -> HeldStore | None:
    """The store whose days the database holds; None where it holds no day. Raises PostgresError,
    also where the server cannot be reached: to be called before days are made."""
    place = read_place(url)
    with closing(place.connect()) as connection, place.in_one_line("nothing was made or loaded"):
        if not _is_there(connection, LEDGER):
            return None
        found = connection.execute(
            f"select count(distinct event_date), source from {BRONZE}.{LEDGER}"
            " group by source order by 1 desc"
        ).fetchone()
        if found is None:
            return None
        days, source = found
        noted = None
        # a version that did not note it may have made the tables
        if _is_there(connection, STORE):
            noted = connection.execute(
                f"select settings::text from {BRONZE}.{STORE} where source = %s", [source]
            ).fetchone()
    settings = noted_settings(noted[0] if noted else None)
    return HeldStore(
        f"{BRONZE} in {place.described}", days, source, settings, option=" --to postgres"
    )


def _is_there(connection: Connection, table: str) -> bool:
    found = connection.execute("select to_regclass(%s)", [f"{BRONZE}.{table}"]).fetchone()
    return found != (None,)


def _exclude_others(connection: Connection, place: Place) -> None:
    """Takes the right to load, which ends with the connection, also where the process is killed."""
    from psycopg.errors import LockNotAvailable

    with suppress(LockNotAvailable), connection.transaction():
        connection.execute(f"set local lock_timeout to '{ENDED_SECONDS}s'")
        connection.execute("select pg_advisory_lock(%s)", [ADVISORY_LOCK])
        return
    holder = connection.execute(
        "select a.usename, a.pid from pg_locks l join pg_stat_activity a using (pid)"
        " where l.locktype = 'advisory' and l.granted and l.database ="
        " (select oid from pg_database where datname = current_database())"
        " and (l.classid::bigint << 32) | l.objid::bigint = %s",
        [ADVISORY_LOCK],
    ).fetchone()
    who = f"user {holder[0]}, server process {holder[1]}" if holder else "which has just ended"
    raise PostgresError(
        f"another load into {BRONZE} is under way ({place.described}; {who}): load again when it"
        " has ended"
    )


def _refuse_others(
    connection: Connection, partitions: Mapping[date, Manifests], source: str, place: Place
) -> None:
    """Two stores in the same tables would share ids, and neither would be whole."""
    for day, table, digest, loaded in connection.execute(
        f"select event_date, table_name, digest, source from {BRONZE}.{LEDGER}"
        " where source <> %s or event_date = any(%s) order by source = %s, event_date",
        [source, list(partitions), source],
    ):
        if loaded != source:
            raise PostgresError(
                f"{BRONZE} in {place.described} holds a store of other settings ({loaded}, not"
                f" {source}): {EMPTIES}"
            )
        if digest != partitions[day][table].digest:
            raise PostgresError(
                f"{BRONZE}.{table} in {place.described} holds other records of {day} than its"
                f" partition: {EMPTIES}"
            )


def _note_store(connection: Connection, source: str, settings: StoreSettings) -> None:
    connection.execute(
        f"insert into {BRONZE}.{STORE} (source, settings) values (%s, %s) on conflict do nothing",
        [source, json.dumps(settings.records_from())],
    )


def _load_all(
    loader: _Loader, partitions: Mapping[date, Manifests], replace: bool
) -> Generator[tuple[date, list[PostgresLoad]], None, None]:
    """The days' loads, as they are committed. An exception, here or in the caller, ends and undoes
    those that are under way."""
    rest = list(partitions)
    pool = ThreadPoolExecutor(len(loader.connections))
    try:
        if replace and rest:
            # alone: emptying the tables would wait for all others
            first = rest.pop(0)
            yield first, pool.submit(loader.load, first, partitions[first], True).result()
        days = {pool.submit(loader.load, day, partitions[day]): day for day in rest}
        for future in as_completed(days):
            # the one that failed raises why
            if not isinstance(future.exception(), _Stopped):
                yield days[future], future.result()
    except BaseException:
        loader.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Stopped(Exception):
    """Another day failed, or somebody interrupted."""


class _Loader:
    """Loads a day at a time on each of its connections, in the thread that asks."""

    def __init__(
        self, place: Place, connections: Sequence[Connection], source: str, settings: StoreSettings
    ) -> None:
        self.place = place
        self.connections = connections
        self.source = source
        self.settings = settings
        self._stopping = threading.Event()
        self._free: SimpleQueue[Connection] = SimpleQueue()
        for connection in connections:
            with place.in_one_line("nothing was loaded"):
                # a day does not wait for the disk, which took a quarter of the time: `settle` does
                connection.execute("set synchronous_commit to off")
                for table in BRONZE_TABLES.values():
                    connection.execute(
                        f"create temporary table {_staged(table)} as"
                        f" select {_names(table)} from {BRONZE}.{table.name} with no data"
                    )
            self._free.put(connection)

    def settle(self) -> None:
        """Waits until all days are on the disk: the server has one log for all connections, so a
        commit that waits, of something that is logged, has waited for those before it."""
        connection = self.connections[0]
        staged = ", ".join(_staged(table) for table in BRONZE_TABLES.values())
        with self.place.in_one_line("the last days may not have been kept: load again"):
            connection.execute("set synchronous_commit to on")
            connection.execute(f"drop table {staged}")

    def stop(self) -> None:
        """Ends what is under way; it is rolled back in its own thread."""
        import psycopg

        self._stopping.set()
        for connection in self.connections:
            # a broken connection cannot be cancelled, and has nothing under way
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=5)

    def load(self, day: date, manifests: Manifests, replace: bool = False) -> list[PostgresLoad]:
        """Loads the day in one transaction; returns what each table got."""
        connection = self._free.get()
        try:
            self._go_on()
            with self.place.in_one_line(f"{day} was not loaded"), connection.transaction():
                if replace:
                    tables = ", ".join(
                        f"{BRONZE}.{name}" for name in (*BRONZE_TABLES, LEDGER, STORE)
                    )
                    connection.execute(f"truncate {tables}")
                    _note_store(connection, self.source, self.settings)
                return [
                    self._load_table(connection, BRONZE_TABLES[name], day, manifest)
                    for name, manifest in manifests.items()
                ]
        except BaseException:
            # here, not where it is waited for: this thread would begin another day meanwhile
            self._stopping.set()
            raise
        finally:
            self._free.put(connection)

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise _Stopped

    def _load_table(
        self, connection: Connection, table: Dataset, day: date, manifest: Manifest
    ) -> PostgresLoad:
        relation, names = f"{BRONZE}.{table.name}", _names(table)
        with self.place.in_one_line(f"{day} was not loaded, for {relation}"):
            if self._is_fresh(connection, table, day):
                added = self._copy(connection, relation, table, day, manifest)
            else:
                self._copy(connection, _staged(table), table, day, manifest)
                added = connection.execute(
                    f"insert into {relation} ({names}) select {names} from {_staged(table)}"
                    " on conflict do nothing"
                ).rowcount
                # truncate makes new files: for the few rows of most days that took longer than
                # all else, and so did `on commit delete rows`, which truncates all seven
                many = manifest.rows > ROWS_TO_TRUNCATE
                connection.execute(f"{'truncate' if many else 'delete from'} {_staged(table)}")
            connection.execute(
                f"insert into {BRONZE}.{LEDGER} (event_date, table_name, rows, digest, source)"
                " values (%s, %s, %s, %s, %s) on conflict do nothing",
                [day, table.name, manifest.rows, manifest.digest, self.source],
            )
        return PostgresLoad(table.name, added, manifest.rows - added)

    def _is_fresh(self, connection: Connection, table: Dataset, day: date) -> bool:
        """Whether no key of the day can be there: then a COPY goes straight into the table, in half
        the time of one that is staged and inserted. The key of a table without partitions holds
        over all its days, so there the answer is False."""
        if not table.by_day:
            return False
        found = connection.execute(
            f"select exists (select from {BRONZE}.{table.name} where {DAY_COLUMN} = %s)", [day]
        ).fetchone()
        return found == (False,)

    def _copy(
        self,
        connection: Connection,
        relation: str,
        table: Dataset,
        day: date,
        manifest: Manifest,
    ) -> int:
        if not manifest.parts:
            return 0
        with connection.cursor() as cursor:
            with cursor.copy(
                f"copy {relation} ({_names(table)}) from stdin (format csv)"
            ) as copying:
                for batch in _batches(table, day, manifest, self.settings.batch_size):
                    self._go_on()
                    copying.write(_csv(batch, day))
            if cursor.rowcount != manifest.rows:
                raise PartitionError(
                    f"{manifest.folder} holds {cursor.rowcount} rows, but its manifest says"
                    f" {manifest.rows}: generate {day} again; nothing of it was loaded"
                )
            return cursor.rowcount


def _staged(table: Dataset) -> str:
    return f"pg_temp.staged_{table.name}"


def _names(table: Dataset) -> str:
    return ", ".join((*table.column_names, DAY_COLUMN))


def _batches(
    table: Dataset, day: date, manifest: Manifest, batch_size: int
) -> Iterator[pa.RecordBatch]:
    for path in checked_paths(manifest, f"{DOMAIN}/{table.name}", day):
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                # files are small, and other days are loaded meanwhile: threads would only cost
                yield from file.iter_batches(
                    batch_size, columns=table.column_names, use_threads=False
                )
        except (pa.ArrowException, OSError) as error:
            raise PartitionError(f"{path} is damaged: generate {day} again") from error


def _csv(batch: pa.RecordBatch, day: date) -> memoryview:
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
