"""The store's days as partition files: ``data/raw/storefront/<table>/event_date=D/``."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from sprint_platform.core.cores import cores
from sprint_platform.core.whole_file import remove_left, remove_whole, whole_file
from sprint_platform.places import raw_dir
from sprint_platform.storage.partitions import (
    Manifest,
    PartitionError,
    made_days,
    read_manifest,
    write_partition,
)
from sprint_platform.storefront.contracts import BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.errors import StorefrontError
from sprint_platform.storefront.settings import StoreSettings

# Dagster's definitions load this file, and shall not load numpy and the name lists with it.
if TYPE_CHECKING:
    from sprint_platform.storefront.generation.store import Store

# A task begins with the orders of the month before it, which costs as much as some days.
DAYS_PER_TASK = 20
Day = tuple[date, dict[str, Manifest]]


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
    store: Store,
    days: Sequence[date],
    watch: Callable[[date, int], None] | None = None,
    processes: int | None = None,
) -> list[Written]:
    """Makes all tables of these days; ``watch`` is called with each written day and its rows.

    Many days are shared out to ``processes`` (as many as there are cores): a day needs no other, so
    the files are the same. Raises StorefrontError where one of them is killed.
    """
    note_store(store)
    rows, sizes = dict.fromkeys(BRONZE_TABLES, 0), dict.fromkeys(BRONZE_TABLES, 0)
    for day, manifests in _written(store, days, processes or cores()):
        for table, manifest in manifests.items():
            rows[table] += manifest.rows
            sizes[table] += manifest.bytes
        if watch:
            watch(day, sum(manifest.rows for manifest in manifests.values()))
    return [Written(table, rows[table], sizes[table]) for table in BRONZE_TABLES]


def _written(store: Store, days: Sequence[date], processes: int) -> Iterator[Day]:
    if processes == 1 or len(days) < 2 * DAYS_PER_TASK:
        for day in days:
            yield day, _write_tables(store, day)
        return
    tasks = [days[start : start + DAYS_PER_TASK] for start in range(0, len(days), DAYS_PER_TASK)]
    # spawned: a fork would copy locks that threads of polars or pyarrow hold
    with ProcessPoolExecutor(
        min(processes, len(tasks)), get_context("spawn"), _begin_worker
    ) as pool:
        made = [pool.submit(_write_task, store.settings, task) for task in tasks]
        try:
            for task in made:
                yield from task.result()
        except BrokenProcessPool as error:
            raise StorefrontError(
                "a process that wrote the store's days was killed, perhaps for want of memory: run"
                " the command again; days that were written are whole"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Leaves Ctrl-C to the parent, and ends with it: otherwise a worker whose parent was killed
    would write days that nobody waits for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def end() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _write_task(settings: StoreSettings, days: Sequence[date]) -> list[Day]:
    store = _store(settings)
    return [(day, _write_tables(store, day)) for day in days]


@lru_cache(maxsize=1)
def _store(settings: StoreSettings) -> Store:
    """The store, cached: the next task uses what it made for the days of the last."""
    from sprint_platform.storefront.generation.store import Store

    return Store(settings)


def _write_tables(store: Store, day: date) -> dict[str, Manifest]:
    return {table: write_day(store, table, day) for table in BRONZE_TABLES}


def other_files(source: str) -> Counter[str]:
    """How many partitions there are of each other store than that of ``source``."""
    return Counter(other for _, other in _others(source) if other is not None)


def refuse_other_files(source: str, tables: Collection[str], days: Sequence[date]) -> None:
    """Raises StorefrontError where files of another store than that of ``source`` lie on these days
    of these tables: writing the days would overwrite them."""
    manifests = [
        _manifest(table, day) for table in BRONZE_TABLES if table in tables for day in days
    ]
    others = sum(manifest is not None and manifest.source != source for manifest in manifests)
    if others:
        raise StorefrontError(
            f"{raw_dir(DOMAIN, '')} holds {others:,} partitions of a store with other settings on"
            f" the days {days[0]} to {days[-1]}: nothing was written. Load that store (`sprint"
            f" {DOMAIN} load`, with its settings), or write this one in its place (`sprint {DOMAIN}"
            " generate --replace`)"
        )


def remove_others(source: str) -> int:
    """Removes the partition files of any other store than that of ``source``, and damaged ones, and
    returns how many partitions that were."""
    removed = 0
    for table in BRONZE_TABLES:
        remove_left(raw_dir(DOMAIN, table))
    for folder, _ in _others(source):
        remove_whole(folder)
        removed += 1
    for note in raw_dir(DOMAIN, "stores").glob("*.json"):
        if note != _note_of(source):
            note.unlink()
    return removed


def _others(source: str) -> Iterator[tuple[Path, str | None]]:
    """The partitions of any other store than that of ``source``, with that store's fingerprint;
    None where the partition is damaged."""
    for table in BRONZE_TABLES:
        for folder in sorted(raw_dir(DOMAIN, table).glob("event_date=*")):
            try:
                day = date.fromisoformat(folder.name.removeprefix("event_date="))
            except ValueError:
                continue  # no partition: somebody else's folder
            try:
                manifest = read_manifest(DOMAIN, table, day, BRONZE_TABLES[table])
            except PartitionError:
                yield folder, None
                continue
            if manifest is not None and manifest.source != source:
                yield folder, manifest.source


def _manifest(table: str, day: date) -> Manifest | None:
    # a damaged one holds nothing that could be lost
    with suppress(PartitionError):
        return read_manifest(DOMAIN, table, day, BRONZE_TABLES[table])
    return None


def files_of_store() -> tuple[str, list[date]] | None:
    """The fingerprint of the store whose files are there, and the days that all of its tables have;
    of several stores the one with the most days. None where there are no files."""
    days: dict[str, list[set[date]]] = {}
    for number, table in enumerate(BRONZE_TABLES):
        for day in sorted(made_days(DOMAIN, table)):
            if manifest := _manifest(table, day):
                tables = days.setdefault(manifest.source, [set() for _ in BRONZE_TABLES])
                tables[number].add(day)
    whole = {source: sorted(set.intersection(*tables)) for source, tables in days.items()}
    return max(whole.items(), key=lambda found: len(found[1]), default=None)


def note_store(store: Store) -> None:
    """Notes beside the files the settings that made them, which a fingerprint does not say."""
    path = _note_of(store.source)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(store.settings.records_from()) + "\n", encoding="utf-8")


def noted_store(source: str) -> StoreSettings | None:
    """The settings of the store with this fingerprint; None where they were not noted, as by an
    older version."""
    try:
        return StoreSettings.model_validate_json(_note_of(source).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def _note_of(source: str) -> Path:
    return raw_dir(DOMAIN, "stores") / f"{source}.json"


def manifests_of(table: str, days: Sequence[date], source: str) -> dict[date, Manifest]:
    """What the table's partitions hold on these days. Raises PartitionError where one is missing,
    or is of another store."""
    found = {}
    for day in days:
        manifest = read_manifest(DOMAIN, table, day, BRONZE_TABLES[table])
        if manifest is None or manifest.source != source:
            what = f"the partition {day} of {DOMAIN}/{table}"
            if manifest is None:
                raise PartitionError(
                    f"{what} is missing: run `sprint storefront generate` with the same settings"
                    f" and days first, or materialize {DOMAIN}/{table} for {day}"
                )
            raise PartitionError(
                f"{what} is of a store with other settings: load it with those it was generated"
                " with (--preset, --seed … or SPRINT_STORE_*), or generate this store first"
            )
        found[day] = manifest
    return found
