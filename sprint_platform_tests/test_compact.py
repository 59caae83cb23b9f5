"""`sprint compact`: the same content in a smaller file, or the old file."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from typer.testing import CliRunner

from sprint_platform.cli.app import app
from sprint_platform.core import compaction
from sprint_platform.core.compaction import CompactionError, draft_of
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import ensure_title_schemas
from sprint_platform.landing.register import open_register, register_path
from sprint_platform.operations.compact import compact_warehouse
from sprint_platform.places import database_path

ROWS = 200_000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of Dagster's."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def warehouse(data_folder: Path, home: Path) -> Path:
    """A database with a title's tables, a view, and a table whose rows were mostly deleted."""
    with connect() as con:
        ensure_title_schemas(con, "tiny")
        con.execute(
            "create table tiny_mart.days as select gen_random_uuid() as id, range as n,"
            " date '2025-01-01' + (range // 1000)::integer as event_date, 'text' as word"
            f" from range({ROWS})"
        )
        con.execute("alter table tiny_mart.days alter column id set not null")
        con.execute("create view tiny_stage.days as select * from tiny_mart.days where n > 5")
        con.execute("delete from tiny_mart.days where n % 1000 > 50")
    return database_path()


def content(path: Path) -> dict[str, list[tuple]]:
    """What a reader sees of a database: each relation's columns, and its rows in order."""
    found: dict[str, list[tuple]] = {}
    with duckdb.connect(str(path), read_only=True) as con:
        for (name,) in con.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
        ).fetchall():
            found[f"columns of {name}"] = con.execute(f"describe {name}").fetchall()
            found[name] = con.execute(f"from {name}").fetchall()
    return found


def test_a_compacted_database_has_the_same_content_and_gives_room_back(warehouse: Path) -> None:
    before, size = content(warehouse), warehouse.stat().st_size
    ended = CliRunner().invoke(app, ["compact"])
    assert ended.exit_code == 0, ended.output
    assert content(warehouse) == before
    assert warehouse.stat().st_size < size / 2
    assert f"{warehouse}: " in ended.output
    assert "are free again" in ended.output
    with connect() as con, pytest.raises(duckdb.ConstraintException):
        con.execute("insert into tiny_mart.days values (null, 1, '2025-01-01', '')")


def killed(run: Callable[[], object]) -> None:
    """Runs it in a process that dies by SIGKILL in it."""
    process = os.fork()
    if not process:
        run()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL


@pytest.mark.parametrize(("step", "times"), [("_require_same", 1), ("sync", 1), ("sync", 2)])
def test_a_killed_compaction_leaves_a_whole_database(
    warehouse: Path, step: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the new file is compared, before it is in place, and after."""
    before, real, calls = content(warehouse), getattr(compaction, step), []

    def dies(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == times:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(compaction, step, dies)
        killed(compact_warehouse)
    assert content(warehouse) == before
    with connect():
        pass
    assert not list(warehouse.parent.glob("*.compacting*"))


class Usage(NamedTuple):
    """A full disk."""

    free: int = 0


def test_without_room_nothing_changes(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = warehouse.read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    with pytest.raises(CompactionError, match=r"needs .* free some; nothing was changed"):
        compact_warehouse()
    assert warehouse.read_bytes() == before
    assert not draft_of(warehouse).exists()


def test_registers_and_what_dagster_deleted_are_compacted_too(warehouse: Path, home: Path) -> None:
    with open_register("arena") as con:
        con.execute(
            "insert into source_ids select 'player', range::varchar, gen_random_uuid(), 1"
            f" from range({ROWS})"
        )
        con.execute("delete from source_ids where source_id <> '7'")
    history = home / "history" / "runs" / "index.db"
    history.parent.mkdir(parents=True)
    with closing(sqlite3.connect(history)) as events:
        events.execute("create table event_logs (event text)")
        events.executemany("insert into event_logs values (?)", [("x" * 1000,)] * 1000)
        events.commit()
        events.execute("delete from event_logs where rowid > 10")
        events.commit()
    sizes = register_path("arena").stat().st_size, history.stat().st_size
    ended = CliRunner().invoke(app, ["compact"])
    assert ended.exit_code == 0, ended.output
    assert register_path("arena").stat().st_size < sizes[0]
    assert history.stat().st_size < sizes[1] / 10
    with open_register("arena") as con, closing(sqlite3.connect(history)) as events:
        assert con.execute("select source_id from source_ids").fetchall() == [("7",)]
        assert events.execute("select count(*) from event_logs").fetchall() == [(10,)]
