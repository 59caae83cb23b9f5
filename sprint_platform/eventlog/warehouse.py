"""Where the event log's raw tables lie: in ``eventlog_raw`` of the DuckDB file, or in Snowflake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import duckdb

from sprint_platform.core.locks import hold
from sprint_platform.engines.duckdb_engine import DuckDBEngine
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.engines.snowflake_credentials import SnowflakeCredentials
from sprint_platform.engines.snowflake_engine import SnowflakeEngine
from sprint_platform.engines.snowflake_engine import open_snowflake as open_engine
from sprint_platform.eventlog.contracts import DOMAIN, RAW_TABLES
from sprint_platform.storage.ledger import Ledger

SCHEMA = "eventlog_raw"
LEDGER = Ledger(DOMAIN, SCHEMA, ("eventlog_stage", "eventlog_mart"), batches=True)
EventlogEngine = DuckDBEngine | SnowflakeEngine


def in_duckdb(con: duckdb.DuckDBPyConnection) -> DuckDBEngine:
    """The event log in the open file."""
    return DuckDBEngine(con, LEDGER, RAW_TABLES.values())


@contextmanager
def open_duckdb(holder: str) -> Iterator[DuckDBEngine]:
    """The same, while the block holds the lease. ``holder`` says who it is to those who wait."""
    with hold(warehouse_lock(), holder), connect() as con:
        yield in_duckdb(con)


def open_snowflake(credentials: SnowflakeCredentials) -> AbstractContextManager[SnowflakeEngine]:
    """The event log in Snowflake, connected while the block runs. Raises SnowflakeError."""
    return open_engine(credentials, DOMAIN, RAW_TABLES.values())
