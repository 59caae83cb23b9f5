"""The warehouse as a Dagster resource: the only way from an asset to the DuckDB file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb
from pydantic import ConfigDict, Field

from sprint_platform.core.locks import DEADLINE_SECONDS, Kind, hold
from sprint_platform.engines.duckdb_file import connect, warehouse_lock


class Warehouse(dg.ConfigurableResource):
    """The one DuckDB file, behind its lease.

    Which file it is, and how it is opened, is for the project's settings to say: the resource takes
    neither. The connection is closed whatever happens.
    """

    model_config = ConfigDict(extra="forbid")

    lease_timeout_seconds: float = Field(
        default=DEADLINE_SECONDS[Kind.WAREHOUSE],
        description="How long a run waits for another that holds the warehouse, in seconds.",
    )

    @contextmanager
    def leased(self, holder: str) -> Iterator[None]:
        """Holds the lease without opening the file: for dbt, which opens it itself. ``holder``
        names the holder to those who wait."""
        with hold(warehouse_lock(), holder, self.lease_timeout_seconds):
            yield

    @contextmanager
    def get_connection(
        self, holder: str = "a Dagster asset"
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection under the lease, closed with it."""
        with self.leased(holder), connect() as connection:
            yield connection
