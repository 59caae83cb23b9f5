"""The store's days in DuckDB: ``bronze.raw_*`` in the one database file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import duckdb

from sprint_platform.places import published_dir
from sprint_platform.storefront.contracts import BRONZE, BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.errors import StorefrontError
from sprint_platform.storefront.files import manifests_of
from sprint_platform.warehouse.load import ensure_ledger, record_loaded, replace_days

_LEDGER = f"{BRONZE}.loaded_partitions"


@dataclass(frozen=True)
class TableLoad:
    """What a load did to a table: rows inserted; days of which the table held just these rows."""

    table: str
    rows: int
    days_loaded: int
    days_unchanged: int


@dataclass(frozen=True)
class LoadReport:
    """What a load did, and how long it took."""

    tables: tuple[TableLoad, ...]
    seconds: float


def ensure_bronze(con: duckdb.DuckDBPyConnection) -> None:
    """Creates the bronze tables where they are missing, so that dbt and readers find all seven."""
    con.execute(f"create schema if not exists {BRONZE}")
    for table in BRONZE_TABLES.values():
        con.execute(table.create_table_sql(DOMAIN))
    ensure_ledger(con, _LEDGER)


def loaded_digests(con: duckdb.DuckDBPyConnection, table: str) -> dict[date, str]:
    """The digest of each day that the table holds, by day."""
    ensure_bronze(con)
    found = con.execute(f"select partition_date, digest from {_LEDGER} where dataset = ?", [table])
    return dict(found.fetchall())


def load_days(
    con: duckdb.DuckDBPyConnection,
    tables: Collection[str],
    days: Sequence[date],
    source: str,
    replace: bool = False,
) -> LoadReport:
    """Makes these tables hold the days' partition files, in one transaction over all of them.

    A day whose loaded digest is the file's is left alone; any other is replaced. Bronze holds one
    store: raises StorefrontError where there are days of another ``source``, unless ``replace``,
    which drops all that bronze, silver and gold hold of it. Raises PartitionError for a file that
    is missing or damaged. A failure leaves everything as it was.
    """
    began = time.perf_counter()
    files = {name: manifests_of(name, days, source) for name in BRONZE_TABLES if name in tables}
    done = []
    con.begin()
    try:
        ensure_bronze(con)
        others = con.execute(
            f"select count(distinct partition_date) from {_LEDGER} where source <> ?", [source]
        ).fetchone()
        if others and others[0]:
            if not replace:
                raise StorefrontError(
                    f"{BRONZE} holds {others[0]} days of a store with other settings: nothing was"
                    " loaded. Set SPRINT_STORE_* as they were, or replace that store with"
                    " `sprint storefront load --replace`"
                )
            _drop_store(con)
        for name, manifests in files.items():
            loaded = loaded_digests(con, name)
            changed = {day: m for day, m in manifests.items() if loaded.get(day) != m.digest}
            rows = replace_days(con, BRONZE_TABLES[name], DOMAIN, changed, present=set(loaded))
            record_loaded(con, _LEDGER, name, changed)
            done.append(TableLoad(name, rows, len(changed), len(manifests) - len(changed)))
        con.commit()
    except BaseException:
        # a commit that failed has rolled back already
        with suppress(duckdb.TransactionException):
            con.rollback()
        raise
    if others and others[0]:
        # after the commit: what is published is made again from the models
        shutil.rmtree(published_dir() / DOMAIN, ignore_errors=True)
    return LoadReport(tuple(done), time.perf_counter() - began)


def _drop_store(con: duckdb.DuckDBPyConnection) -> None:
    """Also the models: they are built window by window, and would keep the other store's days."""
    for table in BRONZE_TABLES.values():
        con.execute(f"delete from {table.relation(DOMAIN)}")
    con.execute(f"delete from {_LEDGER}")
    for schema in ("silver", "gold"):
        con.execute(f"drop schema if exists {schema} cascade")
