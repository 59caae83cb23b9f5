"""Loading a table: what becomes of the rows that are there, and that it holds what was loaded.

All of it is in one transaction of the engine's: a load that fails leaves the old data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic

import duckdb

from sprint_platform.dataset import Dataset
from sprint_platform.engines.duckdb_engine import DuckDBEngine
from sprint_platform.engines.engine import LoadError
from sprint_platform.engines.postgres_engine import PostgresEngine
from sprint_platform.engines.spark_engine import SparkEngine, SparkTable, refuse_other_engine
from sprint_platform.engines.spark_session import on_spark
from sprint_platform.storage.ledger import Ledger, title_ledger
from sprint_platform.storage.partitions import Manifest, OlderContractError, P
from sprint_platform.telemetry.contracts import DATASETS


class Mode(StrEnum):
    """What becomes of the rows that are there: all of them go (recreate), all of them stay
    (append), or those of the periods that are loaded go (replace)."""

    RECREATE = "recreate"
    APPEND = "append"
    REPLACE = "replace"


@dataclass(frozen=True)
class TableLoad(Generic[P]):
    """What a load did to a table: rows that it added, rows that were there already and stayed, rows
    that it removed; the periods that it loaded, and those that were loaded already."""

    table: str
    added: int
    there_already: int = 0
    removed: int = 0
    loaded: tuple[P, ...] = ()
    unchanged: tuple[P, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class LoadReport(Generic[P]):
    """What a load did, table by table, how long it took, and where it was, for people."""

    tables: tuple[TableLoad[P], ...]
    seconds: float
    described: str


def ensure_tables(
    con: duckdb.DuckDBPyConnection, ledger: Ledger, datasets: Collection[Dataset]
) -> None:
    """Creates the schemas and empty typed tables of a title or domain where they are missing, so
    that dbt and readers find every table of the contract whatever was materialized so far."""
    schemas = {ledger.schema, *(dataset.schema_name(ledger.name) for dataset in datasets)}
    for schema in sorted(schemas):
        con.execute(f"create schema if not exists {schema}")
    for dataset in datasets:
        con.execute(dataset.create_table_sql(ledger.name))
    ledger.ensure(con)


def forget_other_columns(
    con: duckdb.DuckDBPyConnection, ledger: Ledger, datasets: Collection[Dataset]
) -> list[str]:
    """Drops each table whose columns are not its dataset's any more, with the notes of what it was
    loaded from: its periods are to be made again. Returns the names of these datasets."""
    engine = DuckDBEngine(con, ledger, datasets)
    existing = engine.existing()
    changed = [dataset for dataset in datasets if existing.get(dataset.name) is False]
    for dataset in changed:
        with engine.transaction():
            engine.execute(f"drop table {engine.relation(dataset)}")
            engine.execute(f"delete from {ledger.loaded_table} where dataset = ?", [dataset.name])
    return [dataset.name for dataset in changed]


def ensure_title_schemas(con: duckdb.DuckDBPyConnection, title: str) -> None:
    """``ensure_tables`` of a title, and the schemas of its models. ``dim_products`` is not among
    the tables: it is a dbt seed, and dbt creates it. On Spark the tables are views of its files.
    Raises OlderContractError where a table has the columns of an older contract, and LoadError
    where another engine has them."""
    spark = on_spark()
    refuse_other_engine(con, title, spark)
    if other_columns(con, title):
        raise OlderContractError(title)
    ledger = title_ledger(title)
    tables = [d for d in DATASETS.values() if d.partition_column]
    ensure_tables(con, ledger, [] if spark else tables)
    for table in tables if spark else []:
        SparkTable.of(table, title).show_in_duckdb(con)
    for schema in ledger.model_schemas:
        con.execute(f"create schema if not exists {schema}")


def other_columns(con: duckdb.DuckDBPyConnection, title: str) -> dict[str, set[str]]:
    """The columns of those of the title's tables that have others than their contracts, by
    dataset."""
    found: dict[str, set[str]] = {}
    for name, dataset in DATASETS.items():
        if dataset.partition_column:
            # the information schema would take longer than all else in a small load
            with suppress(duckdb.CatalogException):
                con.execute(f"select * from {dataset.relation(title)} limit 0")
                present = {column[0] for column in con.description or []}
                if present != {column.name for column in dataset.table_columns}:
                    found[name] = present
    return found


def load_partitions(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    contract: Dataset,
    manifests: Mapping[P, Manifest],
) -> TableLoad[P]:
    """Makes the dataset's table hold exactly these periods' partitions, in one transaction.

    A period whose loaded digest and rows are the manifest's is left alone; another is deleted and
    inserted. A failure leaves table and ledger as they were. Raises PartitionError for a damaged
    file.
    """
    ensure_tables(con, ledger, [contract])
    engine = DuckDBEngine(con, ledger, [contract])
    with engine.transaction():
        return load_periods(engine, contract, manifests)


def load_on_spark(
    open_duckdb: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
    ledger: Ledger,
    contract: Dataset,
    manifests: Mapping[P, Manifest],
) -> TableLoad[P]:
    """``load_partitions`` into Spark's table; DuckDB, which has the ledger, is open only before and
    after. The caller holds the title's ``spark_lock``.

    The ledger forgets a day before it is replaced: after a failure it is loaded again.
    """
    engine = SparkEngine(ledger, [contract])
    with open_duckdb() as con:
        ledger.ensure(con)
        loaded = ledger.loaded(con, contract.name)
        changed = [p for p, m in manifests.items() if loaded.get(p) != m.digest]
        engine.noted = loaded
        con.execute(
            f"delete from {ledger.loaded_table} where dataset = ?"
            f" and {ledger.period_column} in (select unnest(?::date[]))",
            [contract.name, changed],
        )
    with engine.transaction():
        report = load_periods(engine, contract, manifests)
    with open_duckdb() as con:
        ledger.record_loaded(con, contract.name, manifests)
        SparkTable.of(contract, ledger.name).show_in_duckdb(con)
    return report


def load_periods(
    engine: DuckDBEngine | PostgresEngine | SparkEngine,
    table: Dataset,
    manifests: Mapping[P, Manifest],
    mode: Mode = Mode.REPLACE,
) -> TableLoad[P]:
    """Loads these periods' partitions in the caller's transaction: ``load_partitions``, or where
    the mode is append, what is missing of them."""
    began = time.perf_counter()
    replaces = mode is Mode.REPLACE
    loaded = engine.loaded(table) if replaces else {}
    # rows that came or went since are not what the note says
    held = engine.held(table, manifests) if replaces else {}
    unchanged = {
        period
        for period, manifest in manifests.items()
        if loaded.get(period) == manifest.digest and held[period] == manifest.rows
    }
    changed = {p: m for p, m in sorted(manifests.items()) if p not in unchanged}
    stale = [period for period in changed if held.get(period)]
    removed = engine.remove(table, stale) if stale else 0
    added = engine.insert_partitions(table, changed)
    rows = sum(manifest.rows for manifest in changed.values())
    if replaces and (inside := sum(engine.held(table, changed).values())) != rows:
        raise LoadError(
            f"{engine.relation(table)}: {inside} rows after the load of {len(changed)} periods, but"
            f" their manifests say {rows}; the load was undone"
        )
    # also those with the same digest: another version of the title may have made them
    engine.record(table, manifests)
    return TableLoad(
        table.name,
        added,
        there_already=rows - added,
        removed=removed,
        loaded=tuple(changed),
        unchanged=tuple(sorted(unchanged)),
        seconds=time.perf_counter() - began,
    )
