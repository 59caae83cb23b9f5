"""The load: exactly the days that were asked for, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from sprint_platform.core import network_disk
from sprint_platform.engines.duckdb_file import NetworkDiskError, connect, remedy
from sprint_platform.engines.engine import LoadError
from sprint_platform.engines.load import (
    TableLoad,
    ensure_title_schemas,
    load_partitions,
)
from sprint_platform.operations.verify import loaded_digests
from sprint_platform.places import database_path
from sprint_platform.simulation.world import World
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import Manifest, PartitionError, write_partition
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform_tests.worlds import LAUNCH, SIMULATED, days_from, table

DAYS = days_from(LAUNCH, 4)


def written(world: World, dataset: str, days: list[date] = DAYS) -> dict[date, Manifest]:
    """Partitions of the world's days, on disk."""
    return {
        day: write_partition("sprint", dataset, day, getattr(world, dataset)(day), "test")
        for day in days
    }


def load(manifests: dict[date, Manifest], dataset: str = "sessions") -> TableLoad[date]:
    with connect() as con:
        return load_partitions(con, title_ledger("sprint"), DATASETS[dataset], manifests)


def content(dataset: str = "sessions") -> list[tuple[Any, ...]]:
    """All rows of the dataset's table and of the list of what was loaded, sorted."""
    relation = DATASETS[dataset].relation("sprint")
    with connect() as con:
        rows = con.execute(f"select * from {relation} order by all").fetchall()
        # but for the files, which may hold the same records in another order
        loaded = con.execute(
            "select * exclude files from sprint_raw.loaded_partitions order by all"
        ).fetchall()
    return rows + loaded


def by_day(dataset: str = "sessions") -> dict[date, list[tuple[Any, ...]]]:
    relation = DATASETS[dataset].relation("sprint")
    found: dict[date, list[tuple[Any, ...]]] = {}
    with connect() as con:
        for row in con.execute(f"select * from {relation} order by all").fetchall():
            found.setdefault(row[-1], []).append(row)
    return found


def expected_rows(records: pa.Table, day: date) -> set[tuple[Any, ...]]:
    return {(*row.values(), day) for row in records.to_pylist()}


@pytest.mark.parametrize("dataset", SIMULATED)
def test_the_table_holds_what_the_partitions_hold(
    data_folder: Path, sprint: World, dataset: str
) -> None:
    days = DAYS[:2] if dataset == "heartbeats" else DAYS
    report = load(written(sprint, dataset, days), dataset)
    assert report.loaded == tuple(days)
    assert report.unchanged == ()
    found = by_day(dataset)
    assert sum(len(rows) for rows in found.values()) == report.added
    for day in days:
        assert set(found.get(day, [])) == expected_rows(table(sprint, dataset, day), day)


@pytest.mark.parametrize("dataset", SIMULATED)
def test_the_tables_columns_are_the_contracts(data_folder: Path, dataset: str) -> None:
    contract = DATASETS[dataset]
    with connect() as con:
        ensure_title_schemas(con, "sprint")
        ensure_title_schemas(con, "sprint")
        described = con.execute(f"describe {contract.relation('sprint')}").fetchall()
    assert [(name, kind.lower(), null) for name, kind, null, *_ in described] == [
        *((c.name, c.duckdb_type, "YES" if c.nullable else "NO") for c in contract.columns),
        (contract.partition_column, "date", "NO"),
    ]


def test_a_second_load_does_nothing(data_folder: Path, sprint: World) -> None:
    manifests = written(sprint, "sessions")
    load(manifests)
    before = content()
    report = load(manifests)
    assert (report.added, report.loaded) == (0, ())
    assert report.unchanged == tuple(DAYS)
    assert content() == before


def test_rows_that_went_from_the_table_are_loaded_again(data_folder: Path, sprint: World) -> None:
    manifests = written(sprint, "sessions")
    load(manifests)
    before = content()
    with connect() as con:
        con.execute(
            "delete from sprint_raw.event_session where event_date = ? and kills > 2", [DAYS[1]]
        )
        con.execute("insert into sprint_raw.event_session from sprint_raw.event_session where"
                    " event_date = ? limit 1", [DAYS[2]])  # fmt: skip
    report = load(manifests)
    assert report.loaded == (DAYS[1], DAYS[2])
    assert report.unchanged == (DAYS[0], DAYS[3])
    assert content() == before


@pytest.mark.parametrize("dataset", SIMULATED)
def test_a_tables_digest_is_that_of_its_rows_and_a_wrong_note_is_corrected(
    data_folder: Path, sprint: World, dataset: str
) -> None:
    contract, ledger = DATASETS[dataset], title_ledger("sprint")
    manifests = written(sprint, dataset, DAYS[:1])
    load(manifests, dataset)
    before = content(dataset)
    with connect() as con:
        found = loaded_digests(con, ledger, [contract], DAYS[0])
        assert found == {dataset: manifests[DAYS[0]].digest}
        assert loaded_digests(con, ledger, [contract], DAYS[1]) == {dataset: None}
        # as many rows, and one with another value
        time = contract.time_column
        con.execute(
            f"update {contract.relation('sprint')} set {time} = {time} + interval 1 second"
            f" where {time} = (select min({time}) from {contract.relation('sprint')})"
        )
        other = loaded_digests(con, ledger, [contract], DAYS[0])
        assert other != found
        assert ledger.loaded(con, dataset) == {DAYS[0]: other[dataset]}
    assert load(manifests, dataset).loaded == (DAYS[0],)
    assert content(dataset) == before


def test_rows_that_nobody_noted_are_replaced(data_folder: Path, sprint: World) -> None:
    manifests = written(sprint, "sessions", DAYS[:1])
    load(manifests)
    before = content()
    with connect() as con:
        con.execute("delete from sprint_raw.loaded_partitions")
    assert load(manifests).removed == manifests[DAYS[0]].rows
    assert content() == before


def test_records_in_another_order_are_no_change(data_folder: Path, sprint: World) -> None:
    load(written(sprint, "sessions"))
    before = content()
    records = table(sprint, "sessions", DAYS[1])
    backwards = records.take(pa.array(range(records.num_rows - 1, -1, -1)))
    again = write_partition("sprint", "sessions", DAYS[1], [backwards], "test")
    assert load({DAYS[1]: again}).unchanged == (DAYS[1],)
    assert content() == before


def test_changed_days_are_replaced_and_no_others(data_folder: Path, sprint: World) -> None:
    manifests = written(sprint, "sessions")
    load(manifests)
    before = by_day()
    changed = {
        day: write_partition(
            "sprint", "sessions", day, [table(sprint, "sessions", day).slice(0, 10)], "test"
        )
        for day in (DAYS[0], DAYS[2])
    }
    report = load(manifests | changed)
    assert (report.added, report.loaded) == (20, (DAYS[0], DAYS[2]))
    assert report.unchanged == (DAYS[1], DAYS[3])
    after = by_day()
    assert len(after[DAYS[0]]) == len(after[DAYS[2]]) == 10
    assert after[DAYS[1]] == before[DAYS[1]]
    assert after[DAYS[3]] == before[DAYS[3]]


def test_a_day_that_became_empty_leaves_no_row(data_folder: Path, sprint: World) -> None:
    load(written(sprint, "sessions"))
    empty = write_partition("sprint", "sessions", DAYS[1], [], "test")
    report = load({DAYS[1]: empty})
    assert (report.added, report.loaded) == (0, (DAYS[1],))
    assert set(by_day()) == {DAYS[0], DAYS[2], DAYS[3]}
    assert load({DAYS[1]: empty}).unchanged == (DAYS[1],)
    with connect() as con:
        assert title_ledger("sprint").loaded_digests(con, "sessions")[DAYS[1]] == empty.digest


def test_titles_and_datasets_do_not_meet(data_folder: Path, sprint: World, leap: World) -> None:
    load(written(sprint, "sessions"))
    load(written(sprint, "signons"), "signons")
    before = content()
    manifest = write_partition("leap", "sessions", LAUNCH, leap.sessions(LAUNCH), "")
    with connect() as con:
        load_partitions(con, title_ledger("leap"), DATASETS["sessions"], {LAUNCH: manifest})
        assert con.execute("select count(*) from leap_raw.event_session").fetchone() == (
            manifest.rows,
        )
    assert content() == before


def spoil_missing(path: Path) -> None:
    path.unlink()


def spoil_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def spoil_footer(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-60] + bytes(60))


def spoil_start(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes(3000) + content[3000:])


@pytest.mark.parametrize(
    "spoil",
    [spoil_missing, spoil_short, spoil_footer, spoil_start],
    ids=lambda spoil: spoil.__name__.removeprefix("spoil_"),
)
def test_a_damaged_part_leaves_everything_as_it_was(
    data_folder: Path, sprint: World, spoil: Callable[[Path], None]
) -> None:
    load(written(sprint, "sessions", DAYS[:2]))
    before = content()
    changed = {
        day: write_partition(
            "sprint", "sessions", day, [table(sprint, "sessions", day).slice(0, 200)], "test"
        )
        for day in DAYS
    }
    spoil(changed[DAYS[2]].paths[0])
    with pytest.raises(PartitionError) as caught:
        load(changed)
    message = str(caught.value)
    assert "\n" not in message
    assert str(changed[DAYS[2]].paths[0]) in message
    assert message.endswith("materialize sprint/sessions for 2025-01-03 again")
    assert content() == before
    # and what it says helps
    changed |= written(sprint, "sessions", [DAYS[2]])
    assert load(changed).loaded == tuple(DAYS)


def test_a_manifest_that_counts_wrongly_is_undone(data_folder: Path, sprint: World) -> None:
    manifests = written(sprint, "sessions")
    load({DAYS[0]: manifests[DAYS[0]]})
    before = content()
    wrong = replace(manifests[DAYS[1]], rows=manifests[DAYS[1]].rows + 1)
    with pytest.raises(LoadError, match=r"manifests say \d+; the load was undone"):
        load({DAYS[1]: wrong, DAYS[2]: manifests[DAYS[2]]})
    assert content() == before


# DuckDB itself cannot write its log in a folder with a question mark
@pytest.mark.parametrize("name", ["a space", "a[b]c", "star*", "it's", "event_date=1999-09-09"])
def test_the_data_folder_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sprint: World, name: str
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path / name))
    report = load(written(sprint, "signons", DAYS[:2]), "signons")
    assert report.added > 1000
    assert set(by_day("signons")) == set(DAYS[:2])


def test_a_connection_is_closed_even_after_an_error(data_folder: Path) -> None:
    with pytest.raises(duckdb.Error), connect() as con:
        con.execute("select * from nothing")
    # a second open with another configuration in the same process is refused while one is open
    other = duckdb.connect(str(database_path()))
    other.close()


def _flipped(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes(255 - byte for byte in content[half:])


@pytest.mark.parametrize(
    "broken",
    [
        lambda content: b"",
        lambda content: b"not a database",
        lambda content: content[:4096],
        lambda content: content[: len(content) // 2],
        _flipped,
        lambda content: b"SQLite format 3\0" + bytes(8000),
    ],
)
def test_a_broken_database_is_one_line_with_the_remedy(
    data_folder: Path, sprint: World, broken: Callable[[bytes], bytes]
) -> None:
    load(written(sprint, "signons"), "signons")
    path = database_path()
    path.write_bytes(broken(path.read_bytes()))
    with pytest.raises(duckdb.Error) as raised:
        content("signons")
    line = remedy(raised.value)
    assert line is not None
    assert line.startswith(f"{path} is not a whole database of DuckDB")
    assert line.endswith("or make it anew from the partition files: sprint repair")
    assert "\n" not in line


def test_too_little_memory_names_the_setting(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRINT_DUCKDB_MEMORY", "20MB")
    # one value, which cannot be moved to the disk
    with connect() as con, pytest.raises(duckdb.Error) as raised:
        con.execute("select list(uuid()) from range(3_000_000)").fetchall()
    line = remedy(raised.value)
    assert line is not None
    assert "SPRINT_DUCKDB_MEMORY" in line
    assert "\n" not in line


def test_a_folder_that_cannot_be_written_is_one_line(data_folder: Path) -> None:
    for error in (
        PermissionError(13, "Permission denied", str(data_folder / "raw")),
        OSError(30, "Read-only file system", str(data_folder / "raw")),
        duckdb.IOException(f'IO Error: Cannot open file "{data_folder}": Permission denied'),
    ):
        line = remedy(error)
        assert line is not None
        assert str(data_folder) in line
        assert line.endswith("see its permissions")
    for error in (
        OSError(5, "Input/output error", str(data_folder / "raw")),
        duckdb.IOException(f'IO Error: Could not write file "{data_folder}": Input/output error'),
    ):
        line = remedy(error)
        assert line is not None
        assert line.startswith(f"the disk cannot read or write {data_folder}")
        assert "\n" not in line
    # a file of somebody's is not the database
    assert remedy(IsADirectoryError(21, "Is a directory", "/home/me/out")) is None


def test_a_database_on_a_network_file_system_is_refused(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = SimpleNamespace(mountpoint=str(data_folder.parent), fstype="nfs4")
    monkeypatch.setattr(network_disk.psutil, "disk_partitions", lambda all: [mount])
    network_disk.network_file_system.cache_clear()
    try:
        with pytest.raises(NetworkDiskError, match=r"network file system \(nfs4\)"), connect():
            pass
        # a disk of the machine's own beneath the mount
        own = SimpleNamespace(mountpoint=str(data_folder), fstype="ext4")
        monkeypatch.setattr(network_disk.psutil, "disk_partitions", lambda all: [mount, own])
        network_disk.network_file_system.cache_clear()
        with connect() as con:
            assert con.execute("select 1").fetchone() == (1,)
    finally:
        network_disk.network_file_system.cache_clear()
