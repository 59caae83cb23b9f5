"""Dagster's history of events in SQLite, with fewer connections and transactions.

The files and their records are those of Dagster's own storage. That opens a database anew for each
statement and stores each event by itself: a fifth of the time of a small run, and three quarters of
that of a year.
"""

# private names of Dagster's are overridden here: test_event_storage.py holds the records of both
# storages against each other

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
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

# The databases, one for each run and an index, of which a process has a connection open.
OPEN_DATABASES = 8


class EventStorage(SqliteEventLogStorage):
    """Where ``dagster.yaml`` names it, whoever opens the instance (the command line, the UI, the
    daemon, a run's process) stores by it. The files lie in the instance's home, as Dagster's own
    do."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        os.environ.setdefault(*BATCH_SIZE)
        self._engines: dict[str, Engine] = {}
        # where the files lie, the instance says
        self._inst_data = inst_data
        self._instance_weakref = None

    def register_instance(self, instance: DagsterInstance) -> None:
        home = Path(instance.storage_directory()).parent
        super().__init__(str(home / "history" / "runs"), self._inst_data)
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
            engine = self._engines.pop(shard, None)
            self._engines[shard] = engine = engine or _engine(self.conn_string_for_shard(shard))
            if len(self._engines) > OPEN_DATABASES:
                self._engines.pop(next(iter(self._engines))).dispose()
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def dispose(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()
        super().dispose()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Stores the events, in one transaction for each database that they go to."""
        by_run = defaultdict(list)
        for event in events:
            by_run[event.run_id].append(event)
        for run_id, of_run in by_run.items():
            with self.run_connection(run_id) as connection:
                for event in of_run:
                    connection.execute(self.prepare_insert_event(event))
        mirrored = ASSET_EVENTS | ASSET_CHECK_EVENTS | EVENT_TYPE_TO_PIPELINE_RUN_STATUS.keys()
        checks = []
        with self.index_transaction() as connection:
            for event in events:
                if event.dagster_event_type not in mirrored:
                    continue
                stored = connection.execute(self.prepare_insert_event(event))
                assert stored.inserted_primary_key is not None
                number = stored.inserted_primary_key[0]
                if event.dagster_event_type in ASSET_EVENTS:
                    self._store_asset_event_tags(connection, [event], [number])
                    self._store_asset_event(connection, event, number)
                elif event.dagster_event_type in ASSET_CHECK_EVENTS:
                    checks.append((event, number))
        # over connections of their own
        for event, number in checks:
            self.store_asset_check_event(event, number)


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
