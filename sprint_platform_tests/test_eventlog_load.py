"""Loading batches of the event log: what each mode leaves behind, and that nothing is left half."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from sprint_platform.core.locks import DEADLINE_SECONDS, Kind, LockError, hold
from sprint_platform.engines.duckdb_file import connect, warehouse_lock
from sprint_platform.engines.engine import LoadError
from sprint_platform.engines.load import LoadReport, Mode
from sprint_platform.eventlog import files as files_module
from sprint_platform.eventlog.continuing import continued
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.files import (
    BatchFileError,
    batch_dir,
    batch_lock,
    csv_path,
    eventlog_dir,
    manifest_path,
    read_table_file,
    write_batch,
    write_table,
)
from sprint_platform.eventlog.generation.batch import batch_rows
from sprint_platform.eventlog.load import load
from sprint_platform.eventlog.settings import BatchSettings
from sprint_platform.eventlog.warehouse import SCHEMA, open_duckdb
from sprint_platform.places import database_path, project_root
from sprint_platform_tests.other_process import held_elsewhere

Files = dict[str, Path]
Content = dict[str, list[tuple[Any, ...]]]

ONE = BatchSettings(players=12)
MORE = BatchSettings(players=20)
OTHER_SEED = BatchSettings(players=12, seed=43)
TWO = BatchSettings(batch=2, players=9)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[BatchSettings], Files]:
    """The files of a batch, made once."""
    there: dict[BatchSettings, Files] = {}

    def files_of(settings: BatchSettings) -> Files:
        if settings not in there:
            written = write_batch(settings, tmp_path_factory.mktemp("batch"))
            there[settings] = {table: file.path for table, file in written.items()}
        return there[settings]

    return files_of


def loaded(files: Files, mode: Mode, batch: int | None = None) -> LoadReport:
    with open_duckdb("a test") as target:
        return load(target, files, mode, batch)


def content() -> Content:
    """All rows of the three tables, sorted; a table that is not there has none."""
    found: Content = {}
    with connect() as con:
        for table in RAW_TABLES:
            try:
                rows = con.execute(f"select * from {SCHEMA}.{table}").fetchall()
            except duckdb.CatalogException:
                rows = []
            found[table] = sorted(rows)
    return found


def expected(*batches: BatchSettings) -> Content:
    """What the tables hold when they hold these batches."""
    return {
        table: sorted(row for settings in batches for row in rows_of(settings, table))
        for table in RAW_TABLES
    }


@cache
def rows_of(settings: BatchSettings, table: str) -> list[tuple[Any, ...]]:
    return [row for frame in batch_rows(settings, table) for row in frame.iter_rows()]


def counts(report: LoadReport) -> list[tuple[int, int, int]]:
    """(added, there already, removed) of each table, in order."""
    assert [table.table for table in report.tables] == list(RAW_TABLES)
    return [(table.added, table.there_already, table.removed) for table in report.tables]


def sizes(*batches: BatchSettings) -> list[int]:
    return [len(rows) for rows in expected(*batches).values()]


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    message = str(error.value)
    assert message
    assert "\n" not in message
    assert len(message) < 700
    return message


Made = Callable[[BatchSettings], Files]


# -- the modes --------------------------------------------------------------------------------


def test_the_tables_hold_what_was_made(data_folder: Path, made: Made) -> None:
    loaded(made(ONE), Mode.RECREATE)
    assert content() == expected(ONE)
    with connect() as con:
        for name, table in RAW_TABLES.items():
            described = con.execute(f"describe {SCHEMA}.{name}").fetchall()
            types = {"text": "VARCHAR", "json": "JSON", "integer": "INTEGER"}
            assert [row[:3] for row in described] == [
                (column.name, types[column.type], "NO") for column in table.columns
            ]
        rows = con.execute(
            "select event_id, properties, (properties ->> '$.chapter')::integer"
            f" from {SCHEMA}.raw_game_events"
        ).fetchall()
    frames = pl.concat(batch_rows(ONE, "raw_game_events"))
    generated = dict(frames.select("event_id", "properties").iter_rows())
    for event_id, properties, chapter in rows:
        assert json.loads(properties) == json.loads(generated[event_id])
        assert chapter == json.loads(properties)["chapter"]


def test_files_may_begin_with_a_byte_order_mark(
    data_folder: Path, made: Made, tmp_path: Path
) -> None:
    marked = {}
    for table, path in made(ONE).items():
        marked[table] = tmp_path / path.name
        marked[table].write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    loaded(marked, Mode.RECREATE)
    assert content() == expected(ONE)


@pytest.mark.parametrize("value", ["NaN", "-Infinity"])
def test_what_is_no_json_is_refused(
    data_folder: Path, made: Made, tmp_path: Path, value: str
) -> None:
    files = made(ONE)
    path = tmp_path / "raw_game_events.csv"
    text = files["raw_game_events"].read_text()
    # within a text it is a word like any other
    path.write_text(text.replace('""chapter"":1', '""chapter"":1,""note"":""NaN""', 1))
    loaded(files | {"raw_game_events": path}, Mode.RECREATE)
    path.write_text(text.replace('""chapter"":1', f'""chapter"":{value}', 1))
    with pytest.raises(LoadError, match=r"row 1: properties is no JSON") as error:
        loaded(files | {"raw_game_events": path}, Mode.RECREATE)
    one_line(error)


def test_a_json_value_may_be_long(data_folder: Path, made: Made, tmp_path: Path) -> None:
    """Longer than what Python's reader of CSV takes, and with a word that is looked at."""
    path, text = tmp_path / "raw_game_events.csv", made(ONE)["raw_game_events"].read_text()
    note = f'""chapter"":1,""note"":""NaN {"x" * 200_000}""'
    path.write_text(text.replace('""chapter"":1', note, 1))
    report = loaded(made(ONE) | {"raw_game_events": path}, Mode.RECREATE)
    assert counts(report) == [(n, 0, 0) for n in sizes(ONE)]


def test_a_file_that_is_no_text_is_refused(data_folder: Path, made: Made, tmp_path: Path) -> None:
    path, content = tmp_path / "raw_game_events.csv", made(ONE)["raw_game_events"].read_bytes()
    path.write_bytes(content.replace(b'""chapter"":1', b'""chapter"":1,""note"":""NaN \xff""', 1))
    with pytest.raises(LoadError, match="cannot be read") as error:
        loaded(made(ONE) | {"raw_game_events": path}, Mode.RECREATE)
    one_line(error)


def test_recreate_replaces_everything(data_folder: Path, made: Made) -> None:
    first = loaded(made(ONE), Mode.RECREATE)
    assert counts(first) == [(n, 0, 0) for n in sizes(ONE)]
    loaded(made(TWO), Mode.APPEND)
    again = loaded(made(OTHER_SEED), Mode.RECREATE)
    there = sizes(ONE, TWO)
    assert counts(again) == [(n, 0, gone) for n, gone in zip(sizes(OTHER_SEED), there, strict=True)]
    assert content() == expected(OTHER_SEED)
    assert again.seconds > 0


def test_append_twice_changes_nothing(data_folder: Path, made: Made) -> None:
    loaded(made(ONE), Mode.RECREATE)
    before = content()
    for _ in range(2):
        assert counts(loaded(made(ONE), Mode.APPEND)) == [(0, n, 0) for n in sizes(ONE)]
        assert content() == before


def test_append_adds_the_rows_that_are_not_there(data_folder: Path, made: Made) -> None:
    loaded(made(ONE), Mode.RECREATE)
    assert counts(loaded(made(TWO), Mode.APPEND)) == [(n, 0, 0) for n in sizes(TWO)]
    assert content() == expected(ONE, TWO)
    # the same batch of more players has those of the smaller one
    report = loaded(made(MORE), Mode.APPEND)
    assert counts(report) == [
        (n - there, there, 0) for n, there in zip(sizes(MORE), sizes(ONE), strict=True)
    ]
    assert content() == expected(MORE, TWO)
    # and there is nothing to add of fewer
    assert counts(loaded(made(ONE), Mode.APPEND)) == [(0, n, 0) for n in sizes(ONE)]
    assert content() == expected(MORE, TWO)


@pytest.mark.parametrize("missing", [list(RAW_TABLES), ["raw_sessions"]])
def test_append_into_missing_tables_says_to_recreate(
    missing: list[str], data_folder: Path, made: Made
) -> None:
    if len(missing) == 1:
        loaded(made(ONE), Mode.RECREATE)
        with connect() as con:
            con.execute(f"drop table {SCHEMA}.{missing[0]}")
    before = content()
    with pytest.raises(LoadError, match="recreate first") as error:
        loaded(made(ONE), Mode.APPEND)
    message = one_line(error)
    assert all((name in message) == (name in missing) for name in RAW_TABLES)
    assert content() == before


def test_append_of_another_seed_is_refused(data_folder: Path, made: Made) -> None:
    loaded(made(ONE), Mode.RECREATE)
    with pytest.raises(LoadError, match="another seed") as error:
        loaded(made(OTHER_SEED), Mode.APPEND)
    one_line(error)
    assert content() == expected(ONE)


@pytest.mark.parametrize("table", list(RAW_TABLES))
def test_append_of_one_row_that_is_there_otherwise_is_refused(
    table: str, data_folder: Path, made: Made, tmp_path: Path
) -> None:
    loaded(made(ONE), Mode.RECREATE)
    path = tmp_path / "other.csv"
    lines = made(MORE)[table].read_text(encoding="utf-8").splitlines(keepends=True)
    lines[5] = lines[5].replace("2011-", "2010-", 1)
    path.write_text("".join(lines), encoding="utf-8", newline="")
    with pytest.raises(LoadError, match=rf"\b1 rows of {table}"):
        loaded(made(MORE) | {table: path}, Mode.APPEND)
    assert content() == expected(ONE)


def test_replace_touches_its_batch_only(data_folder: Path, made: Made) -> None:
    # into no tables
    assert counts(loaded(made(TWO), Mode.REPLACE, 2)) == [(n, 0, 0) for n in sizes(TWO)]
    loaded(made(MORE), Mode.REPLACE, 1)
    assert content() == expected(MORE, TWO)
    # fewer players, other people: no row of the old ones stays
    report = loaded(made(OTHER_SEED), Mode.REPLACE, 1)
    assert counts(report) == [
        (n, 0, gone) for n, gone in zip(sizes(OTHER_SEED), sizes(MORE), strict=True)
    ]
    assert content() == expected(OTHER_SEED, TWO)
    loaded(made(OTHER_SEED), Mode.REPLACE, 1)
    assert content() == expected(OTHER_SEED, TWO)


def test_a_file_of_another_batch_replaces_nothing(data_folder: Path, made: Made) -> None:
    loaded(made(MORE), Mode.RECREATE)
    with pytest.raises(LoadError, match="rows of another batch") as error:
        loaded(made(TWO), Mode.REPLACE, 1)
    one_line(error)
    mixed = made(MORE) | {"raw_game_events": made(TWO)["raw_game_events"]}
    with pytest.raises(LoadError, match="rows of another batch"):
        loaded(mixed, Mode.REPLACE, 1)
    assert content() == expected(MORE)


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.REPLACE])
def test_rows_are_not_added_to_a_table_of_other_columns(
    mode: Mode, data_folder: Path, made: Made
) -> None:
    loaded(made(ONE), Mode.RECREATE)
    with connect() as con:
        con.execute("alter table eventlog_raw.raw_sessions drop column platform")
    with pytest.raises(LoadError, match="has raw_sessions with other columns") as error:
        loaded(made(TWO), mode, 2)
    one_line(error)
    with connect() as con:
        there = con.execute("select count(*) from eventlog_raw.raw_players").fetchone()
    assert there == (ONE.players,)
    loaded(made(TWO), Mode.RECREATE)
    assert content() == expected(TWO)


def test_two_loads_on_one_connection(data_folder: Path, made: Made) -> None:
    # what the first makes, the second must not make anew
    with open_duckdb("a test") as target:
        load(target, made(ONE), Mode.REPLACE, 1)
        load(target, made(TWO), Mode.REPLACE, 2)
        load(target, made(MORE), Mode.APPEND)
    assert content() == expected(MORE, TWO)


def test_one_table_can_be_loaded(data_folder: Path, made: Made) -> None:
    # Dagster loads them one by one
    for table, path in made(ONE).items():
        report = loaded({table: path}, Mode.REPLACE, 1)
        assert [entry.table for entry in report.tables] == [table]
    loaded({"raw_sessions": made(MORE)["raw_sessions"]}, Mode.REPLACE, 1)
    assert content() == {**expected(ONE), "raw_sessions": expected(MORE)["raw_sessions"]}


def test_other_things_in_the_warehouse_stay(data_folder: Path, made: Made) -> None:
    with connect() as con:
        con.execute(f"create schema {SCHEMA}")
        con.execute(f"create table {SCHEMA}.mine as select 7 as seven")
        con.execute("create table raw_players as select 8 as eight")
    loaded(made(ONE), Mode.RECREATE)
    loaded(made(ONE), Mode.REPLACE, 1)
    with connect() as con:
        assert con.execute(f"select * from {SCHEMA}.mine").fetchall() == [(7,)]
        assert con.execute("select * from main.raw_players").fetchall() == [(8,)]
    assert content() == expected(ONE)


# -- tables of other columns ------------------------------------------------------------------


def older_table() -> None:
    """A table as an older version of the contract might have left it."""
    with connect() as con:
        con.execute(f"create schema if not exists {SCHEMA}")
        con.execute(
            f"create or replace table {SCHEMA}.raw_players (player_id varchar, age integer)"
        )
        con.execute(f"insert into {SCHEMA}.raw_players values ('player_1', 30)")


def test_recreate_makes_a_table_of_other_columns_anew(data_folder: Path, made: Made) -> None:
    older_table()
    loaded(made(ONE), Mode.RECREATE)
    assert content() == expected(ONE)


def test_a_failed_recreate_leaves_a_table_of_other_columns(
    data_folder: Path, made: Made, tmp_path: Path
) -> None:
    older_table()
    before = content()
    with pytest.raises(LoadError):
        loaded(made(ONE) | {"raw_game_events": broken(made, tmp_path, bad_json)}, Mode.RECREATE)
    assert content() == before
    assert before["raw_players"] == [("player_1", 30)]


def test_append_into_a_table_of_other_columns_is_refused(data_folder: Path, made: Made) -> None:
    loaded(made(ONE), Mode.RECREATE)
    older_table()
    before = content()
    with pytest.raises(LoadError, match="recreate") as error:
        loaded(made(ONE), Mode.APPEND)
    assert "raw_players" in one_line(error)
    assert content() == before


# -- broken files -----------------------------------------------------------------------------


def bad_json(text: bytes) -> bytes:
    return text.replace(b'""kills"":', b'""kills:', 1)


def missing_column(text: bytes) -> bytes:
    return b"".join(
        b",".join([*line.split(b",")[:2], *line.split(b",")[3:]])
        for line in text.splitlines(keepends=True)
    )


def too_few_fields(text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    lines[-3] = b",".join(lines[-3].split(b",")[:4]) + b"\n"
    return b"".join(lines)


def too_many_fields(text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    lines[-3] = lines[-3].rstrip() + b",1\n"
    return b"".join(lines)


def swapped_columns(text: bytes) -> bytes:
    header, rest = text.split(b"\n", 1)
    assert b"player_id,event_name" in header
    return header.replace(b"player_id,event_name", b"event_name,player_id") + b"\n" + rest


BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "bad JSON": bad_json,
    "a missing column": missing_column,
    "too few fields": too_few_fields,
    "too many fields": too_many_fields,
    "swapped columns": swapped_columns,
    "no header": lambda text: text.split(b"\n", 1)[1],
    "nothing": lambda text: b"",
    "bad UTF-8": lambda text: text.replace(b"The Dam", b"The D\xe4m", 1),
    "an empty value": lambda text: text.replace(b"game_closed", b"", 1),
    "a batch that is no number": lambda text: text.replace(b'",1\n', b'",one\n', 1),
    "half of it": lambda text: text[: text.index(b'""', len(text) // 2)],
    "compressed": gzip.compress,
}


def broken(made: Made, folder: Path, how: Callable[[bytes], bytes]) -> Path:
    """A file of events of batch 1, broken."""
    text = made(MORE)["raw_game_events"].read_bytes()
    path = folder / "broken.csv"
    path.write_bytes(how(text))
    assert path.read_bytes() != text
    return path


@pytest.fixture(scope="module")
def two_batches(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse's file that holds ONE and TWO."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(tmp_path_factory.mktemp("two batches")))
        loaded(made(ONE), Mode.RECREATE)
        loaded(made(TWO), Mode.APPEND)
        return database_path()


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("how", list(BREAKS))
def test_a_broken_file_changes_nothing(
    how: str, mode: Mode, data_folder: Path, made: Made, two_batches: Path, tmp_path: Path
) -> None:
    # the events come last: the other two tables are changed by then
    data_folder.mkdir()
    shutil.copy(two_batches, database_path())
    path = broken(made, tmp_path, BREAKS[how])
    with pytest.raises(LoadError) as error:
        loaded(made(MORE) | {"raw_game_events": path}, mode, 1)
    one_line(error)
    assert content() == expected(ONE, TWO)


@pytest.mark.parametrize("mode", list(Mode))
def test_after_a_load_that_failed_comes_one_that_does_not(
    mode: Mode, data_folder: Path, made: Made, tmp_path: Path
) -> None:
    loaded(made(ONE), Mode.RECREATE)
    wrong = made(MORE) | {"raw_game_events": broken(made, tmp_path, bad_json)}
    # on one connection: nothing of the first may be left in the second
    with open_duckdb("a test") as target:
        with pytest.raises(LoadError):
            load(target, wrong, mode, 1)
        load(target, made(MORE), mode, 1)
    assert content() == expected(MORE)


@pytest.mark.parametrize("mode", list(Mode))
def test_a_missing_file_changes_nothing(mode: Mode, data_folder: Path, made: Made) -> None:
    loaded(made(ONE), Mode.RECREATE)
    nowhere = data_folder / "nowhere.csv"
    with pytest.raises(LoadError, match=r"nowhere\.csv") as error:
        loaded(made(MORE) | {"raw_game_events": nowhere}, mode, 1)
    one_line(error)
    assert content() == expected(ONE)


@pytest.mark.parametrize("name", ["o'brien", "a [1] *?", "ünï cödé", "a,b"])
def test_a_folder_of_any_name_can_be_loaded(name: str, data_folder: Path) -> None:
    written = write_batch(ONE, data_folder / name)
    loaded({table: file.path for table, file in written.items()}, Mode.RECREATE)
    assert content() == expected(ONE)


# dies in the transaction, when all three tables are changed and nothing is committed
KILLED = """
import os, signal, sys
from pathlib import Path
from sprint_platform.engines.load import Mode
from sprint_platform.eventlog import warehouse
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.load import load

class Dying(warehouse.DuckDBEngine):
    def execute(self, sql):
        changed = super().execute(sql)
        if sql.startswith("insert") and "raw_game_events" in sql:
            relations = [self.relation(table) for table in RAW_TABLES.values()]
            print([self.rows(f"select count(*) from {r}")[0][0] for r in relations], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return changed

warehouse.DuckDBEngine = Dying
folder, mode = Path(sys.argv[1]), Mode(sys.argv[2])
with warehouse.open_duckdb("a process that dies") as target:
    load(target, {name: folder / f"{name}.csv" for name in RAW_TABLES}, mode, 1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
@pytest.mark.parametrize("mode", [Mode.RECREATE, Mode.REPLACE])
def test_a_killed_load_leaves_the_old_data(mode: Mode, data_folder: Path, made: Made) -> None:
    loaded(made(ONE), Mode.RECREATE)
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(made(MORE)["raw_players"].parent), mode],
        cwd=project_root(),
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    # it was that far
    assert json.loads(child.stdout) == sizes(MORE)
    assert content() == expected(ONE)
    # and its lease is free
    loaded(made(MORE), mode, 1)
    assert content() == expected(MORE)


def test_a_load_has_the_lease(data_folder: Path) -> None:
    with open_duckdb("the load"):
        outcomes: list[str] = []

        def try_it() -> None:
            try:
                with hold(warehouse_lock(), "another", seconds=0.05):
                    outcomes.append("got it")
            except LockError as error:
                outcomes.append(str(error))

        other = threading.Thread(target=try_it)
        other.start()
        other.join()
    assert len(outcomes) == 1
    assert "the load" in outcomes[0]
    with hold(warehouse_lock(), "another", seconds=5):
        pass


# -- going on ---------------------------------------------------------------------------------


def go_on(settings: BatchSettings) -> BatchSettings:
    with open_duckdb("a test") as target:
        return continued(target, settings)


def last_day() -> date:
    with connect() as con:
        found = con.execute(f"select max(event_time) from {SCHEMA}.raw_game_events").fetchall()
    return datetime.fromisoformat(found[0][0]).date()


def distinct_ids() -> None:
    """Asserts that no two rows share an id."""
    for table, rows in content().items():
        assert len({row[0] for row in rows}) == len(rows), table


def test_going_on_twice(data_folder: Path, made: Made, tmp_path: Path) -> None:
    loaded(made(ONE), Mode.RECREATE)
    batches = [ONE]
    for number in (2, 3):
        asked = BatchSettings(players=4, seed=7, game_version="1.1", max_sessions=3)
        following = go_on(asked)
        players, sessions, log = sizes(*batches)
        assert following == BatchSettings(
            batch=number,
            players=4,
            max_sessions=3,
            game_version="1.1",
            seed=7,
            start=last_day() + timedelta(days=1),
            end=last_day() + timedelta(days=31),
            numbered_from=(players + 1, sessions + 1, log),
        )
        written = write_batch(following, tmp_path / str(number))
        loaded({name: file.path for name, file in written.items()}, Mode.APPEND)
        batches.append(following)
        assert content() == expected(*batches)
    distinct_ids()
    # numbers have no gap
    numbers = sorted(int(row[0].removeprefix("player_")) for row in content()["raw_players"])
    assert numbers == list(range(1, 12 + 4 + 4 + 1))
    numbers = sorted(int(row[0].removeprefix("event_")) for row in content()["raw_game_events"])
    assert numbers == list(range(len(numbers)))


def test_going_on_after_a_batch_with_a_namespace(
    data_folder: Path, made: Made, tmp_path: Path
) -> None:
    loaded(made(ONE), Mode.RECREATE)
    loaded(made(TWO), Mode.APPEND)
    following = go_on(BatchSettings(players=5))
    players, sessions, log = sizes(ONE)
    assert following.numbered_from == (players + 1, sessions + 1, log)
    assert following.batch == 3
    # not the day after the batch's dates: the day after what was logged
    assert following.start == last_day() + timedelta(days=1)
    assert following.start > TWO.start
    files = {table: file.path for table, file in write_batch(following, tmp_path).items()}
    loaded(files, Mode.APPEND)
    assert content() == expected(ONE, TWO, following)
    # and a batch with a namespace may come after it
    four = BatchSettings(batch=4, players=5)
    loaded(made(four), Mode.APPEND)
    distinct_ids()
    assert go_on(ONE).numbered_from == tuple(
        n + m + start for n, m, start in zip(sizes(ONE), sizes(following), (1, 1, 0), strict=True)
    )


def test_going_on_where_no_number_is_without_a_namespace(data_folder: Path, made: Made) -> None:
    loaded(made(TWO), Mode.RECREATE)
    following = go_on(ONE)
    assert (following.batch, following.numbered_from) == (3, (1, 1, 0))


def test_going_on_takes_the_highest_number_not_the_last_text(data_folder: Path, made: Made) -> None:
    # player_9 sorts after player_12
    loaded(made(ONE), Mode.RECREATE)
    numbers = go_on(ONE).numbered_from
    assert numbers is not None
    assert numbers[0] == 13


def test_going_on_has_the_days_that_are_asked_for(data_folder: Path, made: Made) -> None:
    loaded(made(ONE), Mode.RECREATE)
    week = go_on(BatchSettings(start=date(2020, 1, 1), end=date(2020, 1, 7)))
    assert week.start == last_day() + timedelta(days=1)
    assert week.days == 7


def test_nothing_to_go_on_from(data_folder: Path, made: Made) -> None:
    with pytest.raises(LoadError, match="batch 1 first") as error:
        go_on(ONE)
    one_line(error)
    loaded(made(ONE), Mode.RECREATE)
    with connect() as con:
        for table in RAW_TABLES:
            con.execute(f"delete from {SCHEMA}.{table}")
    with pytest.raises(LoadError, match="batch 1 first"):
        go_on(ONE)


def test_no_batch_follows_the_last(data_folder: Path, made: Made) -> None:
    loaded(made(BatchSettings(batch=999, players=2)), Mode.RECREATE)
    with pytest.raises(LoadError, match="999") as error:
        go_on(ONE)
    one_line(error)


def test_no_two_batches_share_an_id(data_folder: Path, made: Made) -> None:
    numbers = (1, 2, 3, 11, 12, 21, 999)
    batches = [BatchSettings(batch=number, players=13, max_sessions=2) for number in numbers]
    loaded(made(batches[0]), Mode.RECREATE)
    for settings in batches[1:]:
        report = loaded(made(settings), Mode.APPEND)
        assert all(table.there_already == 0 for table in report.tables)
    distinct_ids()
    assert content() == expected(*batches)
    assert {row[0] for row in content()["raw_players"]} >= {"player_1", "player_11", "player_11_1"}


# -- files ------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, bytes]:
    """The files of a folder but locks, which stay."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".lock"}


def test_files_are_as_their_manifests_say(data_folder: Path) -> None:
    folder = batch_dir(2)
    assert folder.parent.parent == eventlog_dir() == data_folder / "eventlog"
    settings = TWO.model_copy(update={"numbered_from": (5, 6, 7)})
    seen: list[tuple[str, int]] = []
    written = write_batch(settings, folder, lambda table, rows: seen.append((table, rows)))
    assert set(snapshot(folder)) == {
        name for table in RAW_TABLES for name in (f"{table}.csv", f"{table}.manifest.json")
    }
    for table, rows in zip(RAW_TABLES, sizes(settings), strict=True):
        text = csv_path(folder, table).read_bytes()
        file = read_table_file(folder, table)
        assert file == written[table]
        assert (file.rows, file.bytes) == (rows, len(text))
        assert file.sha256 == hashlib.sha256(text).hexdigest()
        assert text.count(b"\n") == rows + 1
        assert file.settings == settings
        assert sum(n for name, n in seen if name == table) == rows


def test_a_file_is_written_in_parts_with_one_header(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sprint_platform.eventlog.generation import batch as batch_module

    whole = write_table(MORE, "raw_sessions", data_folder)
    monkeypatch.setattr(batch_module, "PLAYERS_AT_A_TIME", 6)
    seen: list[int] = []
    parts = write_table(MORE, "raw_sessions", data_folder, lambda _, rows: seen.append(rows))
    assert parts == whole
    assert len(seen) == 4
    assert sum(seen) == whole.rows
    assert parts.path.read_bytes().count(b"session_id") == 1


def test_a_file_that_is_not_its_manifests_is_refused(data_folder: Path) -> None:
    folder = data_folder / "batch"
    write_batch(ONE, folder)
    path = csv_path(folder, "raw_sessions")
    text = path.read_bytes()
    other = write_table(OTHER_SEED, "raw_sessions", data_folder / "other").path.read_bytes()
    for wrong in (text[:-7], text + b"\n", b"", other):
        assert len(wrong) != len(text)
        path.write_bytes(wrong)
        with pytest.raises(BatchFileError, match="generate the batch again") as error:
            read_table_file(folder, "raw_sessions")
        assert str(path) in one_line(error)
    path.write_bytes(text)
    assert read_table_file(folder, "raw_sessions").settings == ONE


@pytest.mark.parametrize("gone", [csv_path, lambda *which: manifest_path(csv_path(*which))])
def test_a_missing_batch_says_to_generate_it(
    gone: Callable[[Path, str], Path], data_folder: Path
) -> None:
    with pytest.raises(BatchFileError, match="generate the batch first"):
        read_table_file(data_folder, "raw_players")
    write_table(ONE, "raw_players", data_folder)
    gone(data_folder, "raw_players").unlink()
    with pytest.raises(BatchFileError, match="generate the batch first") as error:
        read_table_file(data_folder, "raw_players")
    one_line(error)


def test_a_damaged_manifest_is_refused(data_folder: Path) -> None:
    file = write_table(ONE, "raw_players", data_folder)
    path = manifest_path(file.path)
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for damage in (
        "",
        "{",
        json.dumps({key: value for key, value in manifest.items() if key != "settings"}),
        json.dumps({key: value for key, value in manifest.items() if key != "bytes"}),
        json.dumps({**manifest, "settings": {**manifest["settings"], "players": 0}}),
        json.dumps({**manifest, "colour": "red"}),
    ):
        path.write_text(damage, encoding="utf-8")
        with pytest.raises(BatchFileError, match="damaged") as error:
            read_table_file(data_folder, "raw_players")
        one_line(error)


def interrupted(settings: BatchSettings, table: str) -> Iterator[pl.DataFrame]:
    yield from batch_rows(settings, table)
    raise OSError("no space left on device")


def unwritable(settings: BatchSettings, table: str) -> Iterator[pl.DataFrame]:
    yield from batch_rows(settings, table)
    # CSV has no lists: this fails where rows are written, not where they are made
    yield pl.DataFrame({"player_id": [["a", "b"]]})


@pytest.mark.parametrize("failing", [interrupted, unwritable])
def test_a_write_that_fails_leaves_the_old_file(
    failing: Callable[[BatchSettings, str], Iterator[pl.DataFrame]],
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_table(ONE, "raw_players", data_folder)
    before = snapshot(data_folder)
    monkeypatch.setattr(files_module, "batch_rows", failing)
    with pytest.raises((OSError, pl.exceptions.ComputeError)):
        write_table(MORE, "raw_players", data_folder)
    assert snapshot(data_folder) == before
    assert read_table_file(data_folder, "raw_players").settings == ONE


def test_a_batch_that_fails_at_its_last_table_leaves_the_old_one_whole(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_batch(ONE, data_folder)
    before = snapshot(data_folder)
    rows_of = files_module.batch_rows

    def batch_rows(settings: BatchSettings, table: str) -> Iterator[pl.DataFrame]:
        return (interrupted if table == "raw_game_events" else rows_of)(settings, table)

    monkeypatch.setattr(files_module, "batch_rows", batch_rows)
    with pytest.raises(OSError, match=r"."):
        write_batch(TWO, data_folder)
    assert snapshot(data_folder) == before


def test_a_batch_takes_the_place_of_the_last(data_folder: Path) -> None:
    write_batch(ONE, data_folder)
    write_batch(TWO, data_folder)
    for table in RAW_TABLES:
        assert read_table_file(data_folder, table).settings == TWO
    assert len(snapshot(data_folder)) == 6


@pytest.mark.skipif(os.name == "nt", reason="Windows replaces no file that is open")
def test_who_reads_a_file_reads_it_to_its_end(data_folder: Path) -> None:
    path = write_table(ONE, "raw_players", data_folder).path
    text = path.read_bytes()
    with path.open("rb") as reader:
        write_table(MORE, "raw_players", data_folder)
        assert reader.read() == text


def test_two_writers_leave_one_batch(data_folder: Path) -> None:
    def write(settings: BatchSettings) -> None:
        for _ in range(6):
            try:
                with hold(batch_lock(data_folder), "a writer"):
                    write_table(settings, "raw_players", data_folder)
            except OSError as error:
                errors.append(error)

    errors: list[OSError] = []
    writers = [threading.Thread(target=write, args=[settings]) for settings in (ONE, MORE, TWO)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    file = read_table_file(data_folder, "raw_players")
    assert hashlib.sha256(file.path.read_bytes()).hexdigest() == file.sha256
    assert set(snapshot(data_folder)) - {".lock"} == {
        "raw_players.csv",
        "raw_players.manifest.json",
    }


def test_a_folder_is_one_commands_at_a_time(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DEADLINE_SECONDS, Kind.BATCH, 0.1)
    with held_elsewhere(batch_lock(data_folder), "sprint eventlog load"):
        with pytest.raises(LockError, match="in use by sprint eventlog load") as error:
            hold(batch_lock(data_folder), "me").__enter__()
        assert str(data_folder) in str(error.value)
    with hold(batch_lock(data_folder), "me"):
        pass


def test_a_batch_that_grew_into_the_ids_of_another_is_refused(
    data_folder: Path, made: Made
) -> None:
    loaded(made(ONE), Mode.REPLACE, 1)
    with open_duckdb("a test") as target:
        next_batch = continued(target, ONE)
    loaded(made(next_batch), Mode.REPLACE, next_batch.batch)
    # more players than batch 1 had when batch 2 was numbered on from it
    with pytest.raises(LoadError, match="of the ids already, in batch 2") as error:
        loaded(made(MORE), Mode.REPLACE, 1)
    one_line(error)
    assert content() == expected(ONE, next_batch)
    loaded(made(ONE), Mode.REPLACE, 1)
    assert content() == expected(ONE, next_batch)


def test_replace_needs_its_batch(data_folder: Path, made: Made) -> None:
    with pytest.raises(ValueError, match="needs the batch"):
        loaded(made(ONE), Mode.REPLACE)
