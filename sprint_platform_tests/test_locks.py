"""Locks between processes: who is named, how long a wait lasts, and the order they go in."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from datetime import date
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock

from sprint_platform.cli import main
from sprint_platform.core import database_file, locks
from sprint_platform.core.database_file import opened_by
from sprint_platform.core.errors import SprintError
from sprint_platform.core.locks import (
    Kind,
    Lock,
    LockError,
    LockOrderError,
    hold,
    holder_of,
    wait_until,
)
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.eventlog.files import batch_lock, eventlog_dir
from sprint_platform.landing.land import land
from sprint_platform.landing.register import landing_lock, open_register, register_path
from sprint_platform.places import database_path
from sprint_platform.storage.partitions import partition_dir, write_partition
from sprint_platform.title import Title
from sprint_platform.transform.dbt_manifest import graph_manifest
from sprint_platform_tests.other_process import (
    held_elsewhere,
    let_go,
    opened_elsewhere,
    waiting_lines,
)


def a_lock(folder: Path, kind: Kind = Kind.LANDING, name: str = "a.lock") -> Lock:
    return Lock(kind, folder / name, f"the {kind.name.lower()} of {name}")


# -- who holds it -----------------------------------------------------------------------------


def test_a_wait_that_was_too_long_ends_with_a_line_that_names_the_holder(
    data_folder: Path,
) -> None:
    with (
        held_elsewhere(warehouse_lock(), "the nightly run") as holder,
        pytest.raises(LockError) as caught,
    ):
        hold(warehouse_lock(), "me", seconds=0.1).__enter__()
    message = str(caught.value)
    assert isinstance(caught.value, SprintError)
    assert "\n" not in message
    for part in (str(database_path()), "the nightly run", f"process {holder.pid}", "0.1 s", "wait"):
        assert part in message


def test_the_lease_has_the_file_names_that_it_had(data_folder: Path) -> None:
    with hold(warehouse_lock(), "me"):
        names = {path.name for path in data_folder.iterdir()}
        said = json.loads((data_folder / "sprint.duckdb.lock.holder.json").read_text())
    assert names == {"sprint.duckdb.lock", "sprint.duckdb.lock.holder.json"}
    assert (said["holder"], said["pid"]) == ("me", os.getpid())
    assert [path.name for path in data_folder.iterdir()] == ["sprint.duckdb.lock"]


def test_who_waits_gets_the_lock_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "FIRST_LINE_SECONDS", 0.0)
    lock = a_lock(tmp_path)
    with (
        held_elsewhere(lock, "a landing") as holder,
        waiting_lines(lambda _: let_go(holder)) as lines,
        hold(lock, "me", seconds=60),
    ):
        assert f"in use by a landing (process {holder.pid} on " in lines[0]
        assert f"me (process {os.getpid()} " in str(holder_of(lock))
    assert holder_of(lock) is None


def test_who_waits_says_so_after_two_seconds_and_then_every_thirty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now[0]

        @staticmethod
        def sleep(seconds: float) -> None:
            now[0] += seconds

    monkeypatch.setattr(locks, "time", Clock)
    with (
        waiting_lines() as lines,
        pytest.raises(LockError, match="it is in use; waited 100 s: go away"),
    ):
        wait_until(lambda: None, lambda: "it is in use", 100, "go away")
    assert now == [1100.0]
    assert [line.split(";")[1] for line in lines] == [
        f" {seconds} s so far, at most 100 s" for seconds in (2, 32, 62, 92)
    ]


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    lock = a_lock(tmp_path)
    with held_elsewhere(lock, "one that is killed") as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert lock.holder_path.exists()
        assert holder_of(lock) is None
        with hold(lock, "me", seconds=0):
            assert str(holder_of(lock)).startswith("me (process ")


def test_a_dead_process_is_not_blamed_for_anothers_lock(tmp_path: Path) -> None:
    lock = a_lock(tmp_path)
    with held_elsewhere(lock, "one that is killed") as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    # held by one that has not said so yet
    with FileLock(lock.path):
        assert holder_of(lock) == "another process"
        with pytest.raises(LockError, match="in use by another process;"):
            hold(lock, "me", seconds=0).__enter__()


@pytest.mark.parametrize("text", ["", "[1]", '{"holder": "somebody"}'])
def test_a_damaged_holder_file_names_nobody(tmp_path: Path, text: str) -> None:
    lock = a_lock(tmp_path)
    lock.holder_path.write_text(text)
    assert holder_of(lock) is None
    with FileLock(lock.path):
        assert holder_of(lock) == "another process"


def test_an_exception_frees_the_lock(tmp_path: Path) -> None:
    lock = a_lock(tmp_path)
    with pytest.raises(RuntimeError, match="oh"), hold(lock, "me", seconds=0):
        raise RuntimeError("oh")
    assert holder_of(lock) is None
    with hold(lock, "me", seconds=0):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [lock.path.name]


def test_to_ask_who_holds_a_lock_makes_no_file(data_folder: Path) -> None:
    assert holder_of(warehouse_lock()) is None
    assert not data_folder.exists()


def test_a_lock_may_be_let_go_by_another_thread(tmp_path: Path) -> None:
    """A generator that holds one may be closed by any thread."""
    lock, later = a_lock(tmp_path), a_lock(tmp_path, Kind.WAREHOUSE)
    held = hold(lock, "me", seconds=0)
    held.__enter__()
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with hold(later, "me", seconds=0), pytest.raises(LockOrderError):
        hold(lock, "me", seconds=0).__enter__()
    with hold(lock, "me", seconds=0):
        pass


@pytest.mark.parametrize("kind", [Kind.LANDING, Kind.PARTITION, Kind.DBT_MANIFEST])
def test_a_wait_that_had_no_end_or_named_nobody_has_both(
    data_folder: Path, titles_folder: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    (titles_folder / "arena.yaml").write_text(
        "{name: arena, launch_date: 2025-01-01, seed: 0, source: landing,"
        " encounters: {distance: 50, gap_seconds: 180}}"
    )
    day = date(2025, 1, 1)
    path, wait = {
        Kind.LANDING: (landing_lock("arena").path, lambda: land(Title.load("arena"))),
        Kind.PARTITION: (
            partition_dir("arena", "signons", day) / ".lock",
            lambda: write_partition("arena", "signons", day, [], "nothing"),
        ),
        Kind.DBT_MANIFEST: (data_folder / "dbt" / "graph" / ".lock", graph_manifest),
    }[kind]
    monkeypatch.setitem(locks.DEADLINE_SECONDS, kind, 0.1)
    with (
        held_elsewhere(Lock(kind, path, ""), "somebody") as holder,
        pytest.raises(LockError, match=rf"in use by somebody \(process {holder.pid} .*0.1 s: wait"),
    ):
        wait()


# -- the order --------------------------------------------------------------------------------


def test_locks_are_taken_in_their_order(tmp_path: Path) -> None:
    with (
        hold(a_lock(tmp_path, Kind.TITLE, "t"), "me"),
        hold(a_lock(tmp_path, Kind.BATCH, "2"), "me"),
        hold(a_lock(tmp_path, Kind.BATCH, "10"), "me"),
        hold(a_lock(tmp_path, Kind.WAREHOUSE, "w"), "me"),
    ):
        for kind, name in ((Kind.LANDING, "l"), (Kind.BATCH, "3"), (Kind.TITLE, "t2")):
            # at once, though nobody else has it
            with pytest.raises(LockOrderError, match="goes before"):
                hold(a_lock(tmp_path, kind, name), "me").__enter__()
        assert not (tmp_path / "l").exists()
        with hold(a_lock(tmp_path, Kind.DBT_MANIFEST, "d"), "me"):
            pass
    with hold(a_lock(tmp_path, Kind.LANDING, "l"), "me"):
        pass


def test_a_thread_that_wants_its_own_lock_is_refused_at_once(data_folder: Path) -> None:
    with (
        hold(warehouse_lock(), "me"),
        pytest.raises(LockOrderError, match="held by this thread already"),
    ):
        hold(warehouse_lock(), "me again").__enter__()
    with hold(warehouse_lock(), "me"):
        pass


def test_another_thread_has_an_order_of_its_own(tmp_path: Path) -> None:
    got: list[str | None] = []

    def take() -> None:
        with hold(a_lock(tmp_path, Kind.TITLE, "t"), "the other", seconds=0):
            got.append(holder_of(a_lock(tmp_path, Kind.TITLE, "t")))

    with hold(a_lock(tmp_path, Kind.WAREHOUSE, "w"), "me"):
        other = threading.Thread(target=take)
        other.start()
        other.join()
    assert str(got[0]).startswith("the other (")


# -- where it is seen -------------------------------------------------------------------------


def test_the_command_line_shows_the_wait_and_then_what_to_do(
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["sprint", "eventlog", "load"])
    monkeypatch.setattr(locks, "FIRST_LINE_SECONDS", 0.0)
    monkeypatch.setitem(locks.DEADLINE_SECONDS, Kind.BATCH, 0.1)
    monkeypatch.setattr(logging.getLogger("sprint_platform"), "handlers", [])
    with held_elsewhere(batch_lock(eventlog_dir()), "somebody") as holder:
        with pytest.raises(SystemExit, match="1"):
            main()
        waiting, *_, error = capsys.readouterr().err.splitlines()
    who = f"the batch in {eventlog_dir()} is in use by somebody (process {holder.pid} on "
    assert waiting.startswith(f"waiting: {who}")
    assert error.startswith(f"error: {who}")


# -- a DuckDB file that another program has open ----------------------------------------------


@pytest.mark.parametrize("read_only", [True, False])
def test_a_program_that_has_the_database_open_is_waited_for(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    monkeypatch.setattr(locks, "FIRST_LINE_SECONDS", 0.0)
    with connect() as con:
        con.execute("create table numbers as select 1")
    with (
        opened_elsewhere(database_path(), read_only=read_only) as other,
        waiting_lines(lambda _: let_go(other)) as lines,
        connect() as con,
    ):
        assert con.execute("from numbers").fetchall() == [(1,)]
    assert f"{database_path()} is open in another program (" in lines[0]
    assert f"PID {other.pid})" in lines[0]


def test_a_program_that_keeps_the_database_open_is_named(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_file, "DEADLINE_SECONDS", 0.1)
    with connect():
        pass
    with (
        opened_elsewhere(database_path(), read_only=True) as other,
        pytest.raises(LockError) as caught,
    ):
        connect().__enter__()
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(database_path()), f"PID {other.pid}", "waited 0.1 s", "published"):
        assert part in message


@pytest.mark.parametrize("read_only", [True, False])
def test_a_program_that_has_the_database_open_is_found_at_once(
    data_folder: Path, read_only: bool
) -> None:
    assert opened_by(database_path()) is None
    assert not data_folder.exists()
    with connect() as con:
        con.execute("create table numbers as select 1")
    with opened_elsewhere(database_path(), read_only=read_only) as other:
        before = {path.name: path.stat() for path in data_folder.iterdir()}
        found = opened_by(database_path())
        assert {path.name: path.stat() for path in data_folder.iterdir()} == before
    assert found is not None
    assert f"PID {other.pid})" in found
    assert opened_by(database_path()) is None


def test_any_other_error_of_the_database_is_not_waited_out(data_folder: Path) -> None:
    data_folder.mkdir()
    database_path().write_text("no database" * 1000)
    with pytest.raises(duckdb.IOException, match="not a valid DuckDB database file"):
        connect().__enter__()


def test_an_open_register_is_named_as_itself(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A landing's error once spoke of the warehouse's file."""
    monkeypatch.setattr(database_file, "DEADLINE_SECONDS", 0.1)
    with open_register("arena"):
        pass
    with (
        opened_elsewhere(register_path("arena"), read_only=True),
        pytest.raises(LockError, match=f"^{register_path('arena')} is open in another program"),
    ):
        open_register("arena").__enter__()
