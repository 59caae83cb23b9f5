"""The warehouse as a Dagster resource: the only way from an asset to the DuckDB file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import Field

from sprint_platform.core.locks import DEADLINE_SECONDS, Kind, hold
from sprint_platform.places import database_path
from sprint_platform.warehouse.database import connect, warehouse_lock


class Warehouse(DuckDBResource):
    """The one DuckDB file, behind its lease.

    An asset that asks for dagster-duckdb's resource may be given this one: the file is the
    project's, the connection has the project's settings and is closed whatever happens.
    """

    database: str = Field(default_factory=lambda: str(database_path()))
    lease_timeout_seconds: float = Field(
        default=DEADLINE_SECONDS[Kind.WAREHOUSE],
        description="How long a run waits for another that holds the warehouse, in seconds.",
    )

    @contextmanager
    def leased(self, holder: str) -> Iterator[None]:
        """Keeps every other process out of the file; nothing is opened. For dbt, which opens it
        itself. ``holder`` says who it is, for whoever waits."""
        with hold(warehouse_lock(), holder, self.lease_timeout_seconds):
            yield

    @contextmanager
    def get_connection(
        self, holder: str = "a Dagster asset", read_only: bool = False
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection under the lease, closed with it."""
        with self.leased(holder), connect(read_only=read_only) as connection:
            yield connection
