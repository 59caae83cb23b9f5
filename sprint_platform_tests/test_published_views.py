"""The published database in another folder than it was written for: it never answers from the
original, and whatever of ours opens it writes it anew."""

from __future__ import annotations

import os
import resource
import shutil
import threading
from contextlib import chdir
from pathlib import Path

import duckdb
import pytest

from sprint_platform.core.duckdb_paths import quoted
from sprint_platform.core.locks import hold
from sprint_platform.engines.duckdb_file import warehouse_lock
from sprint_platform.publish import views
from sprint_platform.publish.views import (
    NotPublishedHere,
    open_published,
    publish_views,
    published_database,
)
from sprint_platform.simulation.world import World
from sprint_platform.storage.partitions import write_partition

COUNTED = "select count(*) from sprint_raw.event_heartbeat"


@pytest.fixture(params=["data", "it's [mine]"])
def original(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sprint: World
) -> Path:
    """A data folder in which ten heartbeats are published."""
    folder = tmp_path / request.param
    monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
    write(sprint, 10)
    publish_views()
    return folder


@pytest.fixture
def copy(original: Path, monkeypatch: pytest.MonkeyPatch, sprint: World) -> Path:
    """A copy of it, which is now the project's data folder; the original has gone on."""
    folder = original.with_name(f"{original.name} copy")
    shutil.copytree(original, folder)
    write(sprint, 20)
    publish_views()
    monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
    return folder


def write(sprint: World, rows: int) -> None:
    day = sprint.title.launch_date
    beats = next(iter(sprint.heartbeats(day)))
    write_partition("sprint", "heartbeats", day, [beats[:rows]], source="test")


def read(path: Path | str) -> int:
    with duckdb.connect(str(path), read_only=True) as con:
        (found,) = con.execute(COUNTED).fetchall()
    return int(found[0])


def test_a_copy_says_where_it_belongs_instead_of_answering_from_there(
    original: Path, copy: Path
) -> None:
    stray = copy / "published" / "sprint.duckdb"
    with pytest.raises(duckdb.Error) as error:
        read(stray)
    assert f"{original / 'published' / 'sprint.duckdb'}" in str(error.value)
    assert "sprint ask" in str(error.value)
    # attached under another name, and copied under another name
    with duckdb.connect() as con:
        con.execute(f"attach '{quoted(stray)}' as mine (read_only)")
        con.execute("use mine")
        with pytest.raises(duckdb.Error, match="was written for"):
            con.execute(COUNTED)
    shutil.copy(stray, copy / "backup.duckdb")
    with pytest.raises(duckdb.Error, match="was written for"):
        read(copy / "backup.duckdb")


def test_the_original_is_read_by_any_path_that_leads_to_it(original: Path) -> None:
    link = original.parent / "link"
    link.symlink_to(original)
    file_link = original.parent / "views.duckdb"
    file_link.symlink_to(original / "published" / "sprint.duckdb")
    assert read(link / "published" / "sprint.duckdb") == 10
    assert read(file_link) == 10
    with chdir(original / "raw"):
        assert read("../published/sprint.duckdb") == 10
    with duckdb.connect() as con, chdir(original):
        con.execute("attach 'published/sprint.duckdb' as mine (read_only)")
        con.execute("use mine")
        assert con.execute(COUNTED).fetchall() == [(10,)]


def test_what_of_ours_opens_a_copy_writes_its_views_anew(original: Path, copy: Path) -> None:
    assert read(published_database()) == 10
    # from then on anybody may read it
    assert read(copy / "published" / "sprint.duckdb") == 10
    written = os.stat(copy / "published" / "sprint.duckdb").st_ino
    assert os.stat(published_database()).st_ino == written
    assert read(original / "published" / "sprint.duckdb") == 20


def test_a_folder_that_was_moved_is_read_where_it_is(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_database()
    moved = original.rename(original.with_name("moved"))
    monkeypatch.setenv("SPRINT_DATA_DIR", str(moved))
    assert read(published_database()) == 10


def test_a_copy_that_cannot_be_written_is_one_line(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SECONDS_TO_WAIT", 0.0)
    held, done = threading.Event(), threading.Event()

    def run() -> None:
        with hold(warehouse_lock(), "a run"):
            held.set()
            done.wait(60)

    holder = threading.Thread(target=run)
    holder.start()
    try:
        assert held.wait(60)
        with pytest.raises(NotPublishedHere) as error:
            published_database()
    finally:
        done.set()
        holder.join()
    assert "written for another folder" in str(error.value)
    assert "in use by a run" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("original", ["data"], indirect=True)
def test_readers_that_need_the_disk_do_not_disturb_each_other(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB's temporary files have the same names in every process and connection."""
    monkeypatch.setenv("SPRINT_DUCKDB_MEMORY", "40MiB")
    both_open, found = threading.Barrier(2), []

    def ask() -> None:
        with open_published() as con:
            both_open.wait(60)
            con.execute("create temp table big as select n, hash(n) from range(4000000) as t(n)")
            found.append(con.execute("select count(*), max(n) from big").fetchall())

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [[(4_000_000, 3_999_999)]] * 2
    assert not [path for path in original.iterdir() if ".tmp" in path.name]


def test_a_disk_without_room_for_the_views_leaves_those_that_are_there(
    original: Path, sprint: World
) -> None:
    write(sprint, 20)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # DuckDB's log of the views is smaller, its file is larger
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 10, limits[1]))
    try:
        with pytest.raises(duckdb.Error):
            publish_views()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read(original / "published" / "sprint.duckdb") == 10
