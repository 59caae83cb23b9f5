"""Dagster's history of events in SQLite, with fewer connections and transactions.

The files and their records are those of Dagster's own storage. That opens a database anew for each
statement, stores each event by itself, asks for the tables' columns with each, and writes an event
as JSON once for each of its records: of a check over a year that is 365 times.
"""

# private names of Dagster's are overridden here: test_event_storage.py holds the records of both
# storages against each other

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import serialize_value
from sqlalchemy import create_engine
from sqlalchemy.event import listens_for
from sqlalchemy.pool import StaticPool

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from dagster._core.events.log import EventLogEntry
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy.engine import Connection, Engine

# Dagster hands over so many events at once where this is set; in the environment, which it reads.
BATCH_SIZE = ("DAGSTER_EVENT_BATCH_SIZE", "1000")

# Events of these are in the index, too.
MIRRORED = ASSET_EVENTS | ASSET_CHECK_EVENTS | EVENT_TYPE_TO_PIPELINE_RUN_STATUS.keys()

# The databases, one for each run and an index, of which a process has a connection open.
OPEN_DATABASES = 8


class EventStorage(SqliteEventLogStorage):
    """Where ``dagster.yaml`` names it, whoever opens the instance (the command line, the UI, the
    daemon, a run's process) stores by it. The files lie in the instance's home, as Dagster's own
    do."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        os.environ.setdefault(*BATCH_SIZE)
        self._engines: dict[str, Engine] = {}
        # databases with a transaction under way
        self._open: dict[str, Connection] = {}
        # what a migration added is never taken away
        self._tables: set[str] = set()
        self._has_index_columns = False
        # where the files lie, the instance says
        self._inst_data = inst_data
        self._instance_weakref = None

    def register_instance(self, instance: DagsterInstance) -> None:
        home = Path(instance.storage_directory()).parent
        super().__init__(str(home / "history" / "runs"), self._inst_data)
        # within a transaction on the index, what it calls joins it
        self._db_lock = threading.RLock()  # type: ignore[assignment]
        super().register_instance(instance)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> EventStorage:
        return cls(inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard in self._open:
                yield self._open[shard]
                return
            engine = self._engines.pop(shard, None)
            self._engines[shard] = engine = engine or _engine(self.conn_string_for_shard(shard))
            if len(self._engines) > OPEN_DATABASES:
                self._engines.pop(next(iter(self._engines))).dispose()
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                self._open[shard] = connection
                try:
                    yield connection
                finally:
                    del self._open[shard]

    def has_table(self, table_name: str) -> bool:
        # asked with each materialization
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_index_cols_on_connection(self, conn: Connection) -> bool:
        # asked with each event of an asset
        self._has_index_columns = (
            self._has_index_columns or super()._has_asset_key_index_cols_on_connection(conn)
        )
        return self._has_index_columns

    def dispose(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()
        super().dispose()

    def store_event(self, event: EventLogEntry) -> None:
        """Stores the event as ``store_event_batch`` stores several."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Stores the events, in one transaction for each database that they go to."""
        rows = [self._event_to_row(event) for event in events]
        by_run = defaultdict(list)
        for row in rows:
            by_run[row["run_id"]].append(row)
        for run_id, of_run in by_run.items():
            with self.run_connection(run_id) as connection:
                connection.execute(SqlEventLogStorageTable.insert(), of_run)
        mirrored = [
            (event, row)
            for event, row in zip(events, rows, strict=True)
            if event.dagster_event_type in MIRRORED
        ]
        if not mirrored:
            return
        with self.index_transaction() as connection:
            stored = connection.execute(
                SqlEventLogStorageTable.insert().returning(
                    SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
                ),
                [row for _, row in mirrored],
            )
            numbers: list[int] = list(stored.scalars())
            of_assets = []
            for (event, _), number in zip(mirrored, numbers, strict=True):
                if event.dagster_event_type in ASSET_EVENTS:
                    of_assets.append((event, number))
                elif event.dagster_event_type in ASSET_CHECK_EVENTS:
                    self.store_asset_check_event(event, number)
            self._store_asset_events(connection, of_assets)

    def _store_asset_check_evaluation_planned(
        self, event: EventLogEntry, event_id: int | None
    ) -> None:
        """As Dagster's, which writes the event as JSON for each of its partitions."""
        planned = event.get_dagster_event().event_specific_data
        assert isinstance(planned, AssetCheckEvaluationPlanned)
        subset = planned.partitions_subset
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),
            "evaluation_event_storage_id": event_id,
        }
        partitions: list[str | None] = [*subset.get_partition_keys()] if subset else [None]
        with self.index_connection() as connection:
            connection.execute(
                AssetCheckExecutionsTable.insert(),
                [{**row, "partition": partition} for partition in partitions],
            )

    def _store_asset_events(
        self, connection: Connection, stored: Sequence[tuple[EventLogEntry, int]]
    ) -> None:
        """Stores what the index has of the assets beside their events: tags, and the last event of
        each."""
        if not stored:
            return
        events, numbers = zip(*stored, strict=True)
        self._store_asset_event_tags(connection, events, numbers)
        # a later event of the asset's overrides an earlier one of its kind
        last = {
            (event.get_dagster_event().asset_key, event.dagster_event_type): (event, number)
            for event, number in stored
        }
        for event, number in sorted(last.values(), key=itemgetter(1)):
            self._store_asset_event(connection, event, number)


def _engine(address: str) -> Engine:
    engine = create_engine(
        address,
        # one connection, which stays open: SQLite merges its log into the database with each last
        # one that is closed. The storage's lock lets one thread in at a time
        poolclass=StaticPool,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @listens_for(engine, "connect")
    def no_wait_for_the_disk(connection: Any, _: object) -> None:
        # a loss of power may take the last events, never the database
        connection.execute("pragma synchronous = normal")

    return engine
