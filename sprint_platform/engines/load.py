"""Loading partition files into DuckDB: a window of days in one transaction."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import duckdb

from sprint_platform.storage.ledger import glob_of, title_ledger, transaction
from sprint_platform.storage.partitions import Manifest, checked_paths, read_partition
from sprint_platform.telemetry.contracts import DATASETS, Dataset


@dataclass(frozen=True)
class LoadReport:
    """What a load did: rows inserted, days replaced, days that were loaded already."""

    rows: int
    loaded_days: tuple[date, ...]
    unchanged_days: tuple[date, ...]
    seconds: float


def ensure_title_schemas(con: duckdb.DuckDBPyConnection, title: str) -> None:
    """Creates the title's schemas and empty typed tables where they are missing, so that dbt and
    readers find every table of the contract whatever was materialized so far.

    ``dim_products`` is not among them: it is a dbt seed, and dbt creates it.
    """
    for part in ("raw", "dim", "stage", "mart"):
        con.execute(f"create schema if not exists {title}_{part}")
    for dataset in DATASETS.values():
        if dataset.partition_column:
            con.execute(dataset.create_table_sql(title))
    title_ledger(title).ensure(con)


def load_partitions(
    con: duckdb.DuckDBPyConnection, title: str, dataset: str, manifests: dict[date, Manifest]
) -> LoadReport:
    """Makes the table hold exactly these days' partitions, in one transaction.

    A day whose loaded digest is the manifest's is left alone; any other is deleted and inserted. A
    failure leaves table and ledger as they were. Raises PartitionError for a damaged file.
    """
    began = time.perf_counter()
    contract, ledger = DATASETS[dataset], title_ledger(title)
    ensure_title_schemas(con, title)
    with transaction(con):
        loaded = ledger.loaded_digests(con, dataset)
        changed = {d: m for d, m in sorted(manifests.items()) if loaded.get(d) != m.digest}
        rows = replace_days(con, contract, title, changed, present=set(loaded))
        # also of those that were only made from something else, as another version of the title
        ledger.record_loaded(con, dataset, manifests)
    return LoadReport(
        rows=rows,
        loaded_days=tuple(changed),
        unchanged_days=tuple(day for day in sorted(manifests) if day not in changed),
        seconds=time.perf_counter() - began,
    )


def replace_days(
    con: duckdb.DuckDBPyConnection,
    contract: Dataset,
    title: str,
    changed: Mapping[date, Manifest],
    present: Collection[date],
) -> int:
    """Deletes those of the days that are ``present`` in the dataset's table, and inserts what the
    manifests list; returns the number of rows inserted. The transaction is the caller's; ``title``
    may be a domain's name. Raises PartitionError for a damaged file."""
    relation, day_column = contract.relation(title), contract.partition_column
    stale = [day for day in changed if day in present]
    if stale:
        con.execute(f"delete from {relation} where {day_column} in (select unnest(?))", [stale])
    columns = ", ".join(column.name for column in contract.columns)
    files = [
        glob_of(path)
        for day, manifest in changed.items()
        for path in checked_paths(manifest, f"{title}/{contract.name}", day)
    ]
    if not files:
        return 0
    # the partition's day is in the folder's name; hive parsing would guess its type from the text
    day_of_file = "cast(regexp_extract(filename, '.*event_date=([0-9-]{10})', 1) as date)"
    try:
        con.execute(
            f"insert into {relation} ({columns}, {day_column})"
            f" select {columns}, {day_of_file}"
            " from read_parquet(?, filename = true, hive_partitioning = false)",
            [files],
        )
    except duckdb.Error:
        # DuckDB does not say which of the files it is: reading them does, where it is one
        for day in changed:
            for _ in read_partition(title, contract.name, day, contract):
                pass
        raise
    expected = sum(manifest.rows for manifest in changed.values())
    inserted = con.execute(
        f"select count(*) from {relation} where {day_column} between ? and ?"
        f" and {day_column} in (select unnest(?))",
        [min(changed), max(changed), list(changed)],
    ).fetchone()
    assert inserted is not None
    if inserted[0] != expected:
        raise duckdb.Error(
            f"{relation}: {inserted[0]} rows after the load of {len(changed)} days, but their"
            f" manifests say {expected}; the load was undone"
        )
    return expected
