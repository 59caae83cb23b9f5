"""The store's days as partition files: ``data/raw/storefront/<table>/event_date=D/``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sprint_platform.storefront.contracts import BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.generation.store import Store
from sprint_platform.telemetry.partitions import (
    Manifest,
    PartitionError,
    partition_days,
    partition_dir,
    read_manifest,
    write_partition,
)


@dataclass(frozen=True)
class Written:
    """A table's partition files of some days."""

    table: str
    rows: int
    bytes: int


def write_day(store: Store, table: str, day: date) -> Manifest:
    """Makes the table's records of the day, and replaces what its partition held."""
    return write_partition(
        DOMAIN,
        table,
        day,
        store.table(table, day),
        source=store.source,
        contract=BRONZE_TABLES[table],
    )


def write_days(
    store: Store, days: Iterable[date], watch: Callable[[date, int], None] | None = None
) -> list[Written]:
    """Makes all tables of these days; ``watch`` hears of each day when it is written, and of its
    rows."""
    rows, sizes = dict.fromkeys(BRONZE_TABLES, 0), dict.fromkeys(BRONZE_TABLES, 0)
    for day in days:
        before = sum(rows.values())
        for table in BRONZE_TABLES:
            manifest = write_day(store, table, day)
            rows[table] += manifest.rows
            sizes[table] += manifest.bytes
        if watch:
            watch(day, sum(rows.values()) - before)
    return [Written(table, rows[table], sizes[table]) for table in BRONZE_TABLES]


def remove_others(source: str) -> int:
    """Removes the partition files of any other store than that of ``source``, and returns how many
    there were: a load would refuse a mixture."""
    removed = 0
    for table in BRONZE_TABLES:
        for day in partition_days(DOMAIN, table):
            manifest = read_manifest(DOMAIN, table, day)
            if manifest is not None and manifest.source != source:
                shutil.rmtree(partition_dir(DOMAIN, table, day))
                removed += 1
    return removed


def manifests_of(table: str, days: Sequence[date], source: str) -> dict[date, Manifest]:
    """What the table's partitions hold on these days. Raises PartitionError where one is missing,
    or is of another store."""
    found = {}
    for day in days:
        manifest = read_manifest(DOMAIN, table, day)
        if manifest is None or manifest.source != source:
            why = "is missing" if manifest is None else "is of a store with other settings"
            raise PartitionError(
                f"the partition {day} of {DOMAIN}/{table} {why}: run `sprint storefront generate`,"
                f" or materialize {DOMAIN}/{table} for {day}"
            )
        found[day] = manifest
    return found
