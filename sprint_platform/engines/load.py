"""Loading partition files into DuckDB: a window of periods in one transaction."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Generic

import duckdb

from sprint_platform.dataset import BATCH_COLUMN, Dataset
from sprint_platform.storage.ledger import Ledger, glob_of, title_ledger, transaction
from sprint_platform.storage.partitions import Manifest, P, Period, checked_paths, read_partition
from sprint_platform.telemetry.contracts import DATASETS


@dataclass(frozen=True)
class LoadReport(Generic[P]):
    """What a load did: rows inserted, periods replaced, periods that were loaded already."""

    rows: int
    loaded: tuple[P, ...]
    unchanged: tuple[P, ...]
    seconds: float


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
    changed = []
    for dataset in datasets:
        found = con.execute(
            "select column_name || ' ' || lower(data_type) from information_schema.columns"
            " where table_schema = ? and table_name = ? order by ordinal_position",
            [dataset.schema_name(ledger.name), dataset.table],
        ).fetchall()
        wanted = [f"{column.name} {column.duckdb_type}" for column in dataset.columns]
        wanted.append(f"{dataset.partition_column} {dataset.partition_type}")
        if found and [name for (name,) in found] != wanted:
            changed.append(dataset.name)
            with transaction(con):
                con.execute(f"drop table {dataset.relation(ledger.name)}")
                con.execute(f"delete from {ledger.loaded_table} where dataset = ?", [dataset.name])
    return changed


def ensure_title_schemas(con: duckdb.DuckDBPyConnection, title: str) -> None:
    """``ensure_tables`` of a title, and the schemas of its models. ``dim_products`` is not among
    the tables: it is a dbt seed, and dbt creates it."""
    ledger = title_ledger(title)
    ensure_tables(con, ledger, [d for d in DATASETS.values() if d.partition_column])
    for schema in ledger.model_schemas:
        con.execute(f"create schema if not exists {schema}")


def load_partitions(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    contract: Dataset,
    manifests: Mapping[P, Manifest],
) -> LoadReport[P]:
    """Makes the dataset's table hold exactly these periods' partitions, in one transaction.

    A period whose loaded digest is the manifest's is left alone; any other is deleted and inserted.
    A failure leaves table and ledger as they were. Raises PartitionError for a damaged file.
    """
    ensure_tables(con, ledger, [contract])
    with transaction(con):
        return load_in_transaction(con, ledger, contract, manifests)


def load_in_transaction(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    contract: Dataset,
    manifests: Mapping[P, Manifest],
) -> LoadReport[P]:
    """``load_partitions`` in the caller's transaction."""
    began = time.perf_counter()
    loaded = ledger.loaded(con, contract.name)
    changed = {p: m for p, m in sorted(manifests.items()) if loaded.get(p) != m.digest}
    rows = _replace_periods(con, contract, ledger.name, changed, present=set(loaded))
    # also those with the same digest: another version of the title may have made them
    ledger.record_loaded(con, contract.name, manifests)
    return LoadReport(
        rows=rows,
        loaded=tuple(changed),
        unchanged=tuple(period for period in sorted(manifests) if period not in changed),
        seconds=time.perf_counter() - began,
    )


def _replace_periods(
    con: duckdb.DuckDBPyConnection,
    contract: Dataset,
    domain: str,
    changed: Mapping[P, Manifest],
    present: Collection[Period],
) -> int:
    """Deletes those of the periods that are ``present`` in the dataset's table, and inserts what
    the manifests list; returns the number of rows inserted."""
    relation, column = contract.relation(domain), contract.partition_column
    stale = [period for period in changed if period in present]
    if stale:
        con.execute(f"delete from {relation} where {column} in (select unnest(?))", [stale])
    columns = ", ".join(c.name for c in contract.columns)
    files = [
        glob_of(path)
        for period, manifest in changed.items()
        for path in checked_paths(manifest, f"{domain}/{contract.name}", period)
    ]
    if not files:
        return 0
    # the period is in the folder's name; hive parsing would guess its type from the text
    folder = "batch=([0-9]+)" if column == BATCH_COLUMN else "event_date=([0-9-]{10})"
    period_of_file = f"cast(regexp_extract(filename, '.*{folder}', 1) as {contract.partition_type})"
    try:
        con.execute(
            f"insert into {relation} ({columns}, {column})"
            f" select {columns}, {period_of_file}"
            " from read_parquet(?, filename = true, hive_partitioning = false)",
            [files],
        )
    except duckdb.Error:
        # DuckDB does not say which file is damaged: reading them does
        for period in changed:
            for _ in read_partition(domain, contract.name, period, contract):
                pass
        raise
    expected = sum(manifest.rows for manifest in changed.values())
    inserted = con.execute(
        f"select count(*) from {relation} where {column} between ? and ?"
        f" and {column} in (select unnest(?))",
        [min(changed), max(changed), list(changed)],
    ).fetchone()
    assert inserted is not None
    if inserted[0] != expected:
        raise duckdb.Error(
            f"{relation}: {inserted[0]} rows after the load of {len(changed)} periods, but their"
            f" manifests say {expected}; the load was undone"
        )
    return expected
