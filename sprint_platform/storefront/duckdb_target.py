"""The store's days in DuckDB: ``bronze.raw_*`` in the one database file."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from datetime import date
from typing import TYPE_CHECKING

import duckdb

from sprint_platform.core.whole_file import remove_whole
from sprint_platform.engines.duckdb_engine import DuckDBEngine
from sprint_platform.engines.load import LoadReport, ensure_tables, load_periods
from sprint_platform.places import published_dir
from sprint_platform.publish.views import publish_views
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storefront.contracts import BRONZE, BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.files import manifests_of
from sprint_platform.storefront.held import HeldStore, noted_settings, refuse_other

if TYPE_CHECKING:
    from sprint_platform.storefront.generation.store import Store

LEDGER = Ledger(DOMAIN, BRONZE, ("silver", "gold"))
_STORE = f"{BRONZE}.loaded_store"


def ensure_bronze(con: duckdb.DuckDBPyConnection) -> None:
    """Creates the bronze tables where they are missing, so that dbt and readers find all seven."""
    ensure_tables(con, LEDGER, BRONZE_TABLES.values())
    con.execute(
        f"create table if not exists {_STORE} (source varchar primary key, title varchar not null)"
    )
    # as JSON; null until the next load where an older version, which did not note them, loaded it
    con.execute(f"alter table {_STORE} add column if not exists settings varchar")


def load_days(
    con: duckdb.DuckDBPyConnection,
    tables: Collection[str],
    days: Sequence[date],
    store: Store,
    replace: bool = False,
) -> LoadReport[date]:
    """Makes these tables hold the days' partition files, in one transaction over all of them.

    A day whose loaded digest is the file's is left alone; any other is replaced. Bronze holds one
    store: raises StorefrontError where it holds another, unless ``replace``, which drops all that
    bronze, silver and gold hold of the other, and what is published of it. Raises PartitionError
    for a file that is missing or damaged. A failure leaves all tables, and what is published, as
    they were.
    """
    began = time.perf_counter()
    files = {
        name: manifests_of(name, days, store.source) for name in BRONZE_TABLES if name in tables
    }
    done = []
    ensure_bronze(con)
    engine = DuckDBEngine(con, LEDGER, BRONZE_TABLES.values())
    replaced = False
    with engine.transaction():
        if not replace:
            refuse_others(con, store)
        elif (held := held_store(con)) and held.source != store.source:
            _drop_store(con)
            replaced = True
        noted = json.dumps(store.settings.records_from())
        con.execute(
            f"insert or replace into {_STORE} (source, title, settings) values (?, ?, ?)",
            [store.source, store.settings.title, noted],
        )
        for name, manifests in files.items():
            done.append(load_periods(engine, BRONZE_TABLES[name], manifests))
    if replaced:
        _withdraw()
    return LoadReport(tuple(done), time.perf_counter() - began, engine.described)


def held_store(con: duckdb.DuckDBPyConnection) -> HeldStore | None:
    """The store whose days bronze holds; None where it holds no day."""
    ensure_bronze(con)
    found = con.execute(
        "select count(distinct partition_date), source, any_value(settings), any_value(title)"
        f" from {LEDGER.loaded_table} left join {_STORE} using (source)"
        " group by source order by 1 desc"
    ).fetchone()
    if found is None:
        return None
    days, source, noted, title = found
    return HeldStore(BRONZE, days, source, noted_settings(noted), title)


def refuse_others(con: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Raises StorefrontError where bronze holds days of another store than this one."""
    refuse_other(held_store(con), store.source, store.settings)


def loaded_title(con: duckdb.DuckDBPyConnection) -> str:
    """The title whose players have accounts in the store that bronze holds; empty without one."""
    ensure_bronze(con)
    found = con.execute(f"select title from {_STORE}").fetchone()
    return str(found[0]) if found else ""


def _drop_store(con: duckdb.DuckDBPyConnection) -> None:
    """Removes the models, too: built window by window, they would hold the other store's days."""
    con.execute(f"delete from {_STORE}")
    for table in BRONZE_TABLES.values():
        con.execute(f"delete from {table.relation(DOMAIN)}")
    for notes in (LEDGER.loaded_table, f"{BRONZE}.built_from", f"{BRONZE}.built_periods"):
        con.execute(f"delete from {notes}")
    for schema in ("silver", "gold"):
        con.execute(f"drop schema if exists {schema} cascade")


def withdraw_replaced(con: duckdb.DuckDBPyConnection) -> None:
    """Removes what is published of a store that bronze no longer holds, before another's models are
    published beside it: the load that replaced the store may have been killed after its commit."""
    found = con.execute(f"select distinct source from {LEDGER.loaded_table}").fetchall()
    published = {source for _, _, source in LEDGER.published_sources()}
    if found and published and published.isdisjoint(source for (source,) in found):
        _withdraw()


def _withdraw() -> None:
    # views go first: a reader finds no view of a file that is gone
    publish_views(without=DOMAIN)
    if (published := published_dir() / DOMAIN).exists():
        remove_whole(published)
