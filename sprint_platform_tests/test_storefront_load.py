"""The store's days in DuckDB: loading them again, other settings, and nothing left half."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from sprint_platform.cli.storefront import generate
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import LoadReport
from sprint_platform.places import published_dir, published_path
from sprint_platform.publish.marts import Mart, publish
from sprint_platform.storage.partitions import (
    PartitionError,
    made_days,
    partition_dir,
    read_manifest,
)
from sprint_platform.storefront import duckdb_target, files
from sprint_platform.storefront.contracts import BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.duckdb_target import (
    LEDGER,
    ensure_bronze,
    load_days,
    loaded_title,
    withdraw_replaced,
)
from sprint_platform.storefront.errors import StorefrontError
from sprint_platform.storefront.files import remove_others, write_day, write_days
from sprint_platform.storefront.generation.store import Store
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform_tests.built_marts import note_built

TINY = StoreSettings(customers=60, products=40, orders=900, days=12)
OTHER = StoreSettings(customers=60, products=40, orders=900, days=8, seed=43)
TABLES = list(BRONZE_TABLES)


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(TINY)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path))
    return tmp_path


def loaded(store: Store, replace: bool = False, days: list[date] | None = None) -> LoadReport[date]:
    with connect() as con:
        return load_days(con, TABLES, days or store.settings.first_days, store, replace)


def content() -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the tables, ingestion among them."""
    with connect() as con:
        ensure_bronze(con)
        return {
            name: sorted(map(repr, con.execute(f"select * from bronze.{name}").fetchall()))
            for name in TABLES
        }


def test_the_tables_hold_what_the_files_say(folder: Path, store: Store) -> None:
    written = write_days(store, TINY.first_days)
    report = loaded(store)
    with connect() as con:
        for table, file in zip(report.tables, written, strict=True):
            assert table.table == file.table
            assert table.added == file.rows > 0
            assert len(table.loaded) == TINY.days
            day = TINY.first_days[2]
            expected = pa_rows(store, table.table, day)
            columns = ", ".join(BRONZE_TABLES[table.table].column_names)
            found = con.execute(
                f"select {columns} from bronze.{table.table} where event_date = ?", [day]
            ).fetchall()
            assert sorted(map(repr, found)) == sorted(map(repr, expected))
        systems = con.execute(
            "select distinct source_system from bronze.raw_orders"
            " where ingestion_timestamp <= now()"
        ).fetchall()
        assert systems == [("checkout",)]


def pa_rows(store: Store, table: str, day: date) -> list[tuple[Any, ...]]:
    """The day's records as DuckDB gives them to Python."""
    found: list[tuple[Any, ...]] = []
    for records in store.table(table, day):
        found += [tuple(row.values()) for row in records.to_pylist()]
    return found


def test_a_second_load_changes_nothing(folder: Path, store: Store) -> None:
    write_days(store, TINY.first_days)
    loaded(store)
    before = content()
    again = loaded(store)
    assert [(t.added, len(t.loaded), len(t.unchanged)) for t in again.tables] == [
        (0, 0, TINY.days)
    ] * len(TABLES)
    # the times of ingestion, too
    assert content() == before


def test_a_table_and_a_day_can_be_loaded_alone(folder: Path, store: Store) -> None:
    day = TINY.first_days[4]
    write_day(store, "raw_orders", day)
    with connect() as con:
        report = load_days(con, ["raw_orders"], [day], store)
        held = con.execute("select distinct event_date from bronze.raw_orders").fetchall()
        assert LEDGER.loaded_digests(con, "raw_orders").keys() == {day}
        assert LEDGER.loaded_digests(con, "raw_customers") == {}
    assert [t.table for t in report.tables] == ["raw_orders"]
    assert held == [(day,)]


def test_another_store_is_refused_and_then_replaces_all(folder: Path, store: Store) -> None:
    write_days(store, TINY.first_days)
    loaded(store)
    before = content()
    with connect() as con:
        con.execute("create schema gold")
        con.execute("create table gold.daily_sales as select 1 as orders")
    (published_dir() / DOMAIN / "daily_sales").mkdir(parents=True)
    other = Store(OTHER)
    write_days(other, OTHER.first_days)
    with pytest.raises(StorefrontError, match=r"holds 12 days of a store with other settings"):
        loaded(other)
    assert content() == before
    loaded(other, replace=True)
    with connect() as con:
        days = con.execute(
            "select max(event_date), count(distinct event_date) from bronze.raw_sessions"
        ).fetchone()
        schemas = {
            row[0] for row in con.execute("select schema_name from duckdb_schemas()").fetchall()
        }
    # nothing of the last four days, which the other store does not have
    assert days == (OTHER.first_days[-1], OTHER.days)
    # and no models of the store that is gone
    assert "gold" not in schemas
    assert not (published_dir() / DOMAIN).exists()
    # readers find no view of what is gone
    with duckdb.connect(str(published_dir() / "sprint.duckdb"), read_only=True) as con:
        views = con.execute("select view_name from duckdb_views() where not internal").fetchall()
    assert views == []


def publish_sales(orders: int) -> None:
    """Publishes a mart of the loaded store, with one number."""
    sales = Mart("gold.daily_sales", f"{DOMAIN}_mart")
    with connect() as con:
        con.execute("create schema if not exists gold")
        con.execute(f"create or replace table gold.daily_sales as select {orders} as orders")
        note_built(con, LEDGER, sales)
        publish(con, LEDGER, [sales])


def published_sales() -> int:
    with duckdb.connect(str(published_path()), read_only=True) as con:
        (found,) = con.execute(f"select orders from {DOMAIN}_mart.daily_sales").fetchall()
    return int(found[0])


def load_orders(store: Store, replace: bool = False) -> None:
    """Writes and loads the first day's orders."""
    day = store.settings.first_days[0]
    write_day(store, "raw_orders", day)
    with connect() as con:
        load_days(con, ["raw_orders"], [day], store, replace)


def test_a_replacing_load_that_fails_leaves_what_is_published(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_orders(store)
    publish_sales(7)
    # after the tables were emptied
    monkeypatch.setattr(duckdb_target, "load_periods", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_orders(Store(OTHER), replace=True)
    assert published_sales() == 7


def test_a_replacing_load_that_dies_after_its_commit_mixes_no_two_stores(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_orders(store)
    publish_sales(7)
    monkeypatch.setattr(duckdb_target, "_withdraw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_orders(Store(OTHER), replace=True)
    monkeypatch.undo()
    monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
    # readers have the old store until the new one's models are to be built
    assert published_sales() == 7
    with connect() as con:
        withdraw_replaced(con)
    assert not (published_dir() / DOMAIN).exists()
    publish_sales(8)
    with connect() as con:
        withdraw_replaced(con)
    assert published_sales() == 8


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_store_s_files_stay_until_another_s_are_written(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_days(store, TINY.first_days[:2])

    monkeypatch.setattr(files, "write_days", interrupted)
    settings = {"customers": 60, "products": 40, "orders": 900, "days": 2}
    with pytest.raises(KeyboardInterrupt):
        generate(**settings, seed=5, replace=True)
    assert made_days(DOMAIN, "raw_orders") == set(TINY.first_days[:2])


def test_the_title_that_was_loaded_is_known(folder: Path, store: Store) -> None:
    write_days(store, TINY.first_days[:1])
    with connect() as con:
        assert loaded_title(con) == ""
        load_days(con, TABLES, TINY.first_days[:1], store)
        assert loaded_title(con) == "sprint"


def test_workers_end_with_the_command_that_is_killed(folder: Path) -> None:
    program = """
from sprint_platform.storefront.files import write_days
from sprint_platform.storefront.generation.store import Store
from sprint_platform.storefront.settings import StoreSettings
if __name__ == "__main__":
    store = Store(StoreSettings(customers=40, products=20, orders=60, days=3000))
    write_days(store, store.settings.first_days, lambda *_: print("a day", flush=True), 2)
"""
    script = folder / "writes.py"
    script.write_text(program)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        workers = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
        _, left = psutil.wait_procs(workers, timeout=30)
    assert len(workers) >= 2
    assert not left


def test_what_is_no_partition_does_not_stop_remove_others(folder: Path, store: Store) -> None:
    day = TINY.first_days[0]
    write_day(store, "raw_orders", day)
    elsewhere = partition_dir(DOMAIN, "raw_orders", date(2031, 1, 1))
    elsewhere.mkdir()
    (elsewhere / "manifest.json").write_text("{")
    (elsewhere.parent / "event_date=2025-99-99").mkdir()
    assert remove_others(store.source) == 1
    assert not elsewhere.exists()
    assert read_manifest(DOMAIN, "raw_orders", day, BRONZE_TABLES["raw_orders"]) is not None


def test_files_of_another_store_are_not_loaded_but_removed_by_generate(
    folder: Path, store: Store
) -> None:
    write_days(store, TINY.first_days)
    other = Store(OTHER)
    write_days(other, OTHER.first_days)
    with pytest.raises(PartitionError, match=r"raw_customers is of a store with other settings"):
        loaded(store)
    # twelve days less the eight that were written over
    assert remove_others(other.source) == 4 * len(TABLES)
    assert (
        read_manifest(DOMAIN, "raw_orders", TINY.first_days[9], BRONZE_TABLES["raw_orders"]) is None
    )
    loaded(other)


@pytest.mark.parametrize("table", ["raw_customers", "raw_reviews", "raw_clickstream"])
def test_a_damaged_file_leaves_every_table_as_it_was(
    folder: Path, store: Store, table: str
) -> None:
    write_days(store, TINY.first_days[:3])
    loaded(store, days=TINY.first_days[:3])
    before = content()
    write_days(store, TINY.first_days)
    manifest = next(
        m
        for day in TINY.first_days[3:]
        if (m := read_manifest(DOMAIN, table, day, BRONZE_TABLES[table])) is not None and m.rows
    )
    manifest.paths[0].write_bytes(manifest.paths[0].read_bytes()[:-40])
    with pytest.raises(
        PartitionError, match=rf"materialize storefront/{table} for 2025-01-.. again"
    ):
        loaded(store)
    assert content() == before


def test_a_missing_day_is_named(folder: Path, store: Store) -> None:
    write_days(store, TINY.first_days[:5])
    with pytest.raises(PartitionError, match=r"2025-01-06 of storefront/raw_customers is missing"):
        loaded(store)


def test_a_day_that_changed_is_replaced_and_no_other(folder: Path, store: Store) -> None:
    write_days(store, TINY.first_days)
    loaded(store)
    day = TINY.first_days[1]
    with connect() as con:
        con.execute("delete from bronze.raw_orders where event_date = ?", [day])
        con.execute(
            "update bronze.loaded_partitions set digest = 'old'"
            " where dataset = 'raw_orders' and partition_date = ?",
            [day],
        )
    report = loaded(store)
    changed = {t.table: len(t.loaded) for t in report.tables if t.loaded}
    assert changed == {"raw_orders": 1}
    with connect() as con:
        found = con.execute(
            "select count(*) from bronze.raw_orders where event_date = ?", [day]
        ).fetchone()
    assert found == (len(pa_rows(store, "raw_orders", day)),)


def test_killed_while_it_loads_nothing_is_there_and_the_next_load_is_whole(
    folder: Path, store: Store
) -> None:
    write_days(store, TINY.first_days)
    program = """
import os, signal
from sprint_platform.storefront import duckdb_target
from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform.storefront.generation.store import Store
from sprint_platform.storefront.settings import StoreSettings
from sprint_platform_tests.built_marts import note_built
from sprint_platform.engines.duckdb_file import connect
load = duckdb_target.load_periods
def dies(engine, contract, manifests):
    if contract.name == "raw_sessions":
        os.kill(os.getpid(), signal.SIGKILL)
    return load(engine, contract, manifests)
duckdb_target.load_periods = dies
store = Store(StoreSettings(customers=60, products=40, orders=900, days=12))
with connect() as con:
    duckdb_target.load_days(con, list(BRONZE_TABLES), store.settings.first_days, store)
"""
    ended = subprocess.run([sys.executable, "-c", program], env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not any(content().values())
    report = loaded(store)
    assert all(t.added for t in report.tables)


def test_no_partition_is_half_there_when_a_day_cannot_be_made(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = TINY.start + timedelta(days=2)
    before = write_day(store, "raw_orders", day)

    def breaks(name: str, of: date) -> Iterator[Any]:
        yield next(iter(Store(OTHER).table(name, of)))
        raise KeyError("in the middle of a day")

    monkeypatch.setattr(store, "table", breaks)
    with pytest.raises(KeyError):
        write_day(store, "raw_orders", day)
    assert read_manifest(DOMAIN, "raw_orders", day, BRONZE_TABLES["raw_orders"]) == before
    left = [path.name for path in partition_dir(DOMAIN, "raw_orders", day).iterdir()]
    assert not [name for name in left if name.endswith(".tmp")]


def test_days_that_are_shared_out_to_processes_are_the_same(folder: Path) -> None:
    settings = StoreSettings(customers=40, products=20, orders=60, days=50)
    store = Store(settings)
    reported: list[date] = []
    alone = write_days(store, settings.first_days, processes=1)
    expected = manifests(settings)
    shutil.rmtree(folder / "raw")
    shared = write_days(
        store, settings.first_days, lambda day, _: reported.append(day), processes=2
    )
    assert shared == alone
    assert reported == settings.first_days
    assert manifests(settings) == expected


def manifests(settings: StoreSettings) -> list[Any]:
    return [
        read_manifest(DOMAIN, name, day, BRONZE_TABLES[name])
        for name in TABLES
        for day in settings.first_days
    ]


def test_a_process_that_is_killed_is_named_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(StoreSettings(customers=40, products=20, orders=60, days=50))
    monkeypatch.setattr(files, "_write_task", dies)
    with pytest.raises(StorefrontError, match="was killed, perhaps for want of memory"):
        write_days(store, store.settings.first_days, processes=2)


def dies(settings: StoreSettings, days: list[date]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_readers_find_the_tables_empty_before_anything_was_loaded(folder: Path) -> None:
    with connect() as con:
        ensure_bronze(con)
        found = con.execute("select count(*) from bronze.raw_clickstream").fetchone()
        assert found == (0,)
        with pytest.raises(duckdb.ConstraintException):
            con.execute("insert into bronze.raw_reviews (review_id) values (1)")
