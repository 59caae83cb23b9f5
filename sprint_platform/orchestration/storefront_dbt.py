"""The environment of a dbt run for the store, and what must be loaded before it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, timedelta

import duckdb

from sprint_platform.core.window import Window, described
from sprint_platform.storage.partitions import read_manifest
from sprint_platform.storefront.contracts import BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.duckdb_target import LEDGER, ensure_bronze, loaded_title
from sprint_platform.storefront.errors import StorefrontError
from sprint_platform.transform.dbt_runner import project_environment

SCHEMAS = {"silver", "gold"}


def storefront_environment(con: duckdb.DuckDBPyConnection, window: Window | None) -> dict[str, str]:
    """The environment of a dbt run for these days, or for all that is loaded, over the warehouse
    that ``con`` is."""
    told = project_environment()
    # that of the store which was loaded, whatever the settings say now
    told["SPRINT_STORE_TITLE"] = loaded_title(con)
    if window is not None:
        told["SPRINT_WINDOW_START"] = window.start.isoformat()
        told["SPRINT_WINDOW_END"] = window.end.isoformat()
    return told


def require_any(con: duckdb.DuckDBPyConnection) -> None:
    """Raises StorefrontError where bronze holds no day."""
    ensure_bronze(con)
    if con.execute(f"select 1 from {LEDGER.loaded_table} limit 1").fetchone() is None:
        raise StorefrontError(
            "bronze holds no day of the store: run `sprint storefront generate --load` first"
        )


def require_loaded(
    con: duckdb.DuckDBPyConnection, tables: Collection[str], days: Iterable[date]
) -> None:
    """Raises StorefrontError where a table does not hold a day, or holds another than its file
    says: a run that was killed between writing and loading would build models of old rows."""
    ensure_bronze(con)
    days = sorted(days)
    for table in (name for name in BRONZE_TABLES if name in tables):
        loaded = LEDGER.loaded_digests(con, table, days[0], days[-1] + timedelta(days=1))
        missing = [day for day in days if day not in loaded]
        behind = []
        for day in set(days).difference(missing):
            manifest = read_manifest(DOMAIN, table, day)
            if manifest is not None and manifest.digest != loaded[day]:
                behind.append(day)
        if wrong := sorted(missing or behind):
            what = "is not there" if missing else "was made, but not loaded"
            last = "" if len(wrong) == 1 else f"...{wrong[-1]}"
            raise StorefrontError(
                f"{DOMAIN}/{table} for {described(wrong)} {what}: materialize {DOMAIN}/{table} for"
                f" {wrong[0]}{last} first"
            )
