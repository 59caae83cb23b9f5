"""A data folder that the version before made goes on: nothing is made anew, nothing is lost.

`data_of_the_version_before.tar.xz` has every domain as that version leaves it, and a simulated
title without its fourth day; `make_data_of_the_version_before.sh` made it. The commands of this
version run on it once, in their order, and the tests look at what they left.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sprint_platform.storage.ledger import title_ledger
from sprint_platform_tests.command_line import Ended, run_sprint

ARCHIVE = Path(__file__).parent / "data_of_the_version_before.tar.xz"
HOLE = date(2025, 1, 4)
FILL_THE_HOLE = ("run", "--title", "tiny", "--from", f"{HOLE}", "--to", f"{HOLE}", "--reuse")
COMMANDS = [
    ("doctor",),
    ("verify", "--title", "tiny"),
    ("verify", "--title", "muddy"),
    ("verify", "--title", "dropped"),
    ("land", "--title", "dropped"),
    FILL_THE_HOLE,
    ("verify", "--title", "tiny", "--from", f"{HOLE}", "--to", f"{HOLE}"),
    ("eventlog", "build"),
    ("storefront", "build"),
]
VERIFIED = [command for command in COMMANDS if command[0] == "verify" and len(command) == 3]
# A landing writes these anew, also when nothing has changed; they hold no records.
BOOKKEEPING = ("landing.duckdb", "state")
# The first of them that a table has is its day: of a cohort's row the day that it is about.
DAY_COLUMNS = ("event_date", "calendar_date", "calendar_day", "signup_date")

Row = dict[str, Any]


@dataclass(frozen=True)
class State:
    """What a data folder holds: when each file was written and its digest, by its path; the rows of
    every table and view of the warehouse; the names of the published views."""

    files: dict[str, tuple[int, str]]
    relations: dict[str, list[Row]]
    published: set[str]


@dataclass(frozen=True)
class Takeover:
    """The folder before and after the commands, and how each of them ended."""

    data: Path
    before: State
    after: State
    ended: dict[tuple[str, ...], Ended]


@pytest.fixture(scope="module")
def takeover(tmp_path_factory: pytest.TempPathFactory) -> Takeover:
    folder = tmp_path_factory.mktemp("takeover")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    settings = ("SPRINT_", "N_PLAYERS", "MAX_SESSIONS", "GAME_", "LOAD_BATCH_ID")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(settings)},
        "SPRINT_DATA_DIR": str(folder / "data"),
        "SPRINT_TITLES_DIR": str(folder / "titles"),
        "DAGSTER_HOME": str(folder / "dagster"),
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }
    before = state(folder / "data")
    ended = {command: run_sprint(list(command), environment) for command in COMMANDS}
    return Takeover(folder / "data", before, state(folder / "data"), ended)


def state(data: Path) -> State:
    relations: dict[str, list[Row]] = {}
    with duckdb.connect(str(data / "sprint.duckdb"), read_only=True) as con:
        for name in names_of(con, "duckdb_tables", "table") | names_of(con, "duckdb_views", "view"):
            con.execute(f"select * from {name}")
            columns = [column[0] for column in con.description or []]
            relations[name] = [dict(zip(columns, row, strict=True)) for row in con.fetchall()]
    with duckdb.connect(str(data / "published" / "sprint.duckdb"), read_only=True) as con:
        published = names_of(con, "duckdb_views", "view")
    return State(dict(written_files(data)), relations, published)


def names_of(con: duckdb.DuckDBPyConnection, catalogue: str, kind: str) -> set[str]:
    con.execute(f"select schema_name || '.' || {kind}_name from {catalogue}() where not internal")
    return {name for (name,) in con.fetchall()}


def written_files(data: Path) -> Iterator[tuple[str, tuple[int, str]]]:
    """What runs, landings, batches and deliveries wrote: partitions, manifests and files."""
    for name in ("raw", "landing", "landed", "eventlog", "truth"):
        for path in sorted((data / name).rglob("*")):
            if path.is_file() and path.suffix != ".lock" and path.name not in BOOKKEEPING:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                yield str(path.relative_to(data)), (path.stat().st_mtime_ns, digest)


def sources(data: Path, day: date) -> dict[str, str]:
    """What the title's partitions of the day say that they were made from."""
    return {
        path.parent.parent.name: json.loads(path.read_text(encoding="utf-8"))["source"]
        for path in (data / "raw" / "tiny").glob(f"*/event_date={day}/manifest.json")
    }


def differing(takeover: Takeover, judged: Callable[[str, Row], bool]) -> set[str]:
    """The relations whose judged rows are others than before. A column that is new is no
    difference."""

    def lines(rows: list[Row], name: str, columns: list[str]) -> list[str]:
        return sorted(repr([row.get(c) for c in columns]) for row in rows if judged(name, row))

    different = set()
    for name, rows in takeover.before.relations.items():
        columns = list(rows[0]) if rows else []
        there = takeover.after.relations.get(name, [])
        if lines(rows, name, columns) != lines(there, name, columns):
            different.add(name)
    return different


def test_every_command_ends_well(takeover: Takeover) -> None:
    for command, ended in takeover.ended.items():
        if command in VERIFIED:
            continue
        assert ended.returncode == 0, f"sprint {' '.join(command)}: {ended.stderr or ended.stdout}"


def test_what_was_built_counts_as_built_the_old_way(takeover: Takeover) -> None:
    for command in VERIFIED:
        title, lines = command[2], takeover.ended[command].stderr.splitlines()
        wrong = [line for line in lines if line.startswith("differs")]
        assert f"{title}: built by another definition than today's: 2025-0" in wrong[0]
        assert wrong[0].endswith(f"sprint run --title {title} --stale")
        # and nothing else is wrong but that this version publishes more
        assert all("is not published" in line for line in wrong[1:]), lines
        assert len(wrong) == len(lines) - 1
    landed = takeover.ended["land", "--title", "dropped"]
    assert "no file is new or changed" in landed.stdout
    assert "every landed day is built" in landed.stdout
    assert "2 days of dropped" in landed.stderr
    assert "sprint run --title dropped --stale" in landed.stderr


def test_a_stale_day_is_not_a_missing_one(takeover: Takeover) -> None:
    """The schedule, the doctor and the dashboard ask the copy that was published."""
    ledger = title_ledger("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(takeover.data))
        standing = ledger.published_standing()
    assert standing is not None
    assert standing.built == tuple(f"2025-01-0{day}" for day in (1, 2, 3, 4, 5))


def test_only_the_missing_day_is_made(takeover: Takeover) -> None:
    before, after = takeover.before.files, takeover.after.files
    assert {path: after.get(path) for path in before} == before
    new = {path.rpartition("/")[0] for path in after.keys() - before.keys()}
    # the players of that day were made with the day after it
    made = ("heartbeats", "sessions", "signons", "transactions")
    assert new == {f"raw/tiny/{dataset}/event_date={HOLE}" for dataset in made}


def test_no_partition_would_be_made_anew_by_a_run_of_its_day(takeover: Takeover) -> None:
    """A run makes those anew that were made from something else than what it would make them of."""
    of_now = sources(takeover.data, HOLE)
    assert len(of_now) == 5
    for day in (1, 2, 3, 5):
        assert sources(takeover.data, date(2025, 1, day)) == of_now


def test_no_table_and_no_view_is_lost(takeover: Takeover) -> None:
    assert len(takeover.before.relations) > 100
    assert takeover.before.relations.keys() <= takeover.after.relations.keys()
    assert takeover.before.published <= takeover.after.published


def test_rows_of_days_that_no_command_was_about_are_the_same(takeover: Takeover) -> None:
    def untouched(name: str, row: Row) -> bool:
        schema, _, table = name.partition(".")
        if table in ("loaded_partitions", "built_partitions"):
            return False
        if schema.startswith("tiny_"):
            column = next((column for column in DAY_COLUMNS if column in row), None)
            # a mart of a day may look back at the day that was missing, and none looks ahead
            return column is not None and (
                row[column] < HOLE or (row[column] > HOLE and not schema.endswith("_mart"))
            )
        return schema.startswith(("dropped_", "muddy_")) or schema in ("bronze", "eventlog_raw")

    judged = [
        n for n, rows in takeover.before.relations.items() if any(untouched(n, r) for r in rows)
    ]
    assert len(judged) > 60
    assert differing(takeover, untouched) == set()


def test_the_models_of_log_and_store_have_as_many_rows_as_before(takeover: Takeover) -> None:
    schemas = ("eventlog_stage", "eventlog_mart", "silver", "gold")
    for name, rows in takeover.before.relations.items():
        if name.startswith(schemas):
            assert (name, len(takeover.after.relations[name])) == (name, len(rows))


def test_figures_that_look_back_may_be_null_now(takeover: Takeover) -> None:
    """The version before never had a null there, and its tables refused one."""
    with duckdb.connect(str(takeover.data / "sprint.duckdb"), read_only=True) as con:
        refusing = con.execute(
            "select schema_name, column_name from duckdb_columns() where not is_nullable"
            " and table_name = 'kpi_daily' and column_name = 'monthly_active_players'"
        ).fetchall()
    assert refusing == []


def test_what_is_published_is_what_the_warehouse_holds(takeover: Takeover) -> None:
    """The views that came with the folder name the place where it was made."""
    with duckdb.connect(str(takeover.data / "published" / "sprint.duckdb"), read_only=True) as con:
        for view in sorted(takeover.before.published):
            found = con.execute(f"select count(*) from {view}").fetchone()
            table = view.replace("storefront_mart.", "gold.")
            assert (view, found) == (view, (len(takeover.after.relations[table]),))
