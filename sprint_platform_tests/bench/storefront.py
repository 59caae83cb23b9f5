"""The store: presets generated and loaded into DuckDB and PostgreSQL, and their models built."""

from __future__ import annotations

from dataclasses import dataclass

from sprint_platform.storefront.generation.store import Store
from sprint_platform.storefront.postgres import PostgresReport, load_days
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
    """The medium preset generated and loaded into PostgreSQL; then loaded again, from its files,
    into an empty database, and once more into the full one."""

    generated: graph_runs.Process
    load_seconds: float
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
            first = _load(url)
            again = _load(url)
        assert not sum(table.added for table in again.tables)
        rows = sum(table.added for table in first.tables)
        return Posted(generated, first.seconds, again.seconds, rows)


def _load(url: str) -> PostgresReport:
    settings = StoreSettings.read({}, "medium")
    source = Store(settings).source
    return load_days(url, settings.first_days, source, settings.batch_size)
