"""The store: presets generated and loaded into DuckDB and PostgreSQL, and their models built."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from sprint_platform.engines.load import LoadReport
from sprint_platform.storefront.generation.store import Store
from sprint_platform.storefront.postgres import load_days
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform_tests import postgres_server
from sprint_platform_tests.bench import graph_runs


@dataclass(frozen=True)
class Stored:
    """A preset: generated and loaded into DuckDB, then modelled; and the rows of bronze."""

    generated: graph_runs.Process
    built: graph_runs.Process
    rows: int


@dataclass(frozen=True)
class Posted:
    """The medium preset generated and loaded into PostgreSQL; then loaded from its files into an
    empty database: in seconds altogether, and in rows per second once the tables and their
    partitions are there; and once more into the full one."""

    generated: graph_runs.Process
    load_seconds: float
    rows_per_second: float
    again_seconds: float
    rows: int


def in_duckdb(preset: str) -> Stored:
    """The preset in DuckDB, in fresh folders."""
    with graph_runs.fresh_folders() as environment:
        command = ["sprint", "storefront", "generate", "--preset", preset, "--load"]
        generated = graph_runs.run(command, environment, watch_memory=True)
        built = graph_runs.run(["sprint", "storefront", "build"], environment, watch_memory=True)
        tables = graph_runs.rows_by_table("bronze")
        rows = sum(count for name, count in tables.items() if ".raw_" in name)
        return Stored(generated, built, rows)


def in_postgres() -> Posted:
    """The medium preset in a PostgreSQL as it comes: what it says is stored, is."""
    with graph_runs.fresh_folders() as environment, postgres_server.serve(durable=True) as server:
        command = ["sprint", "storefront", "generate", "--preset", "medium", "--load"]
        with postgres_server.database(server) as url:
            environment = {**environment, "SPRINT_POSTGRES_URL": url}
            generated = graph_runs.run([*command, "--to", "postgres"], environment)
        with postgres_server.database(server) as url:
            done: list[tuple[float, int]] = []
            first = _load(url, lambda day, rows: done.append((time.perf_counter(), rows)))
            again = _load(url)
        assert not sum(table.added for table in again.tables)
        rows = sum(table.added for table in first.tables)
        rate = sum(rows for _, rows in done[1:]) / (done[-1][0] - done[0][0])
        return Posted(generated, first.seconds, rate, again.seconds, rows)


def _load(url: str, watch: Callable[[date, int], None] | None = None) -> LoadReport[date]:
    settings = StoreSettings.read({}, "medium")
    source = Store(settings).source
    return load_days(url, settings.first_days, source, settings, watch=watch)
