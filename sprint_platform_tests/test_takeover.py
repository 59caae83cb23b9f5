"""A data folder that the version before made goes on: nothing is made anew, nothing is lost.

`data_of_the_version_before.tar.xz` has every domain as that version leaves it, and a simulated
title without its fourth day; `make_data_of_the_version_before.sh` made it. Players and sessions had
other columns then: every command says that `sprint repair` gives them those of this version. It and
the commands after it run once, in their order, and the tests look at what they left.
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
FILL_THE_HOLE = ("run", "--title", "tiny", "--missing", "--from", f"{HOLE}", "--to", f"{HOLE}")
REPAIR = ("repair",)
REFUSED = [
    ("doctor",),
    ("verify", "--title", "tiny"),
    ("verify", "--title", "dropped"),
    ("run", "--title", "tiny", "--from", f"{HOLE}", "--to", f"{HOLE}"),
    ("land", "--title", "dropped"),
    ("ask", "1", "--title", "tiny"),
]
VERIFIED = [("verify", "--title", title) for title in ("tiny", "muddy", "dropped")]
COMMANDS = [
    REPAIR,
    *VERIFIED,
    ("doctor",),
    ("land", "--title", "dropped"),
    ("run", "--title", "tiny", "--stale"),
    FILL_THE_HOLE,
    ("run", "--title", "dropped", "--stale"),
    ("eventlog", "build"),
    ("storefront", "build"),
]
AT_LAST = [("verify", "--title", "tiny", "--deep"), ("verify", "--title", "dropped", "--deep")]
# A day that the studio delivers after the repair, with the new columns.
NEXT_DAY = date(2025, 3, 3)
NEXT_SESSIONS = """match,user,squad,started_at,finished,party_id,won
m-3,anna,red,2025-03-03 21:00:00,2025-03-03 21:05:00,pals,true
m-3,dora,red,2025-03-03 21:00:00,2025-03-03 21:05:00,pals,true
m-3,ben,blue,2025-03-03 21:00:00,2025-03-03 21:05:00,,false
m-2,dora,blue,2025-03-02 20:01:00,2025-03-02 20:05:00,,
"""
# What the columns of players and sessions were.
FORMER = {"archetype", "spender_cluster"}
# A landing writes these anew, also when nothing has changed; they hold no records.
BOOKKEEPING = ("landing.duckdb", "state")
REWRITTEN = ("dim_players", "sessions")

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
    """The folder before the repair, after it, and after the other commands; and how each of them
    ended."""

    data: Path
    before: State
    refused: dict[tuple[str, ...], Ended]
    unrepaired: State
    repaired: State
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
    data = folder / "data"

    def run(commands: list[tuple[str, ...]]) -> dict[tuple[str, ...], Ended]:
        return {command: run_sprint(list(command), environment) for command in commands}

    before = state(data)
    refused = run(REFUSED)
    unrepaired = state(data)
    ended = run(COMMANDS[:1])
    repaired = state(data)
    ended |= run(COMMANDS[1:5])
    (data / "landing" / "dropped" / "sessions" / "next.csv").write_text(NEXT_SESSIONS)
    ended |= run(COMMANDS[5:])
    ended |= run(AT_LAST)
    return Takeover(data, before, refused, unrepaired, repaired, state(data), ended)


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


def differing(before: State, after: State, judged: Callable[[str, Row], bool]) -> set[str]:
    """The relations whose judged rows are others than before. A column that is new, or left, is no
    difference."""

    def lines(rows: list[Row], name: str, columns: list[str]) -> list[str]:
        return sorted(repr([row.get(c) for c in columns]) for row in rows if judged(name, row))

    different = set()
    for name, rows in before.relations.items():
        columns = [column for column in (rows[0] if rows else []) if column not in FORMER]
        there = after.relations.get(name, [])
        if lines(rows, name, columns) != lines(there, name, columns):
            different.add(name)
    return different


def test_before_the_repair_every_command_says_that_it_is_the_remedy(takeover: Takeover) -> None:
    for command, ended in takeover.refused.items():
        said = ended.stderr.splitlines()
        assert ended.returncode == 1, command
        assert any("`sprint repair`" in line for line in said), (command, said)
        assert "Traceback" not in ended.stderr
        assert "missing" not in ended.stderr
    assert takeover.unrepaired.files == takeover.before.files
    assert takeover.unrepaired.relations == takeover.before.relations


def test_every_command_ends_well(takeover: Takeover) -> None:
    for command, ended in takeover.ended.items():
        if command in VERIFIED:
            continue
        assert ended.returncode == 0, f"sprint {' '.join(command)}: {ended.stderr or ended.stdout}"


def test_the_repair_writes_only_what_has_other_columns_now(takeover: Takeover) -> None:
    before, after = takeover.before.files, takeover.repaired.files
    changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    assert {path.split("/")[2] for path in changed} == set(REWRITTEN)
    # what had the old columns is gone from the disk, too
    kinds = {path: path.endswith(".parquet") for path in changed}
    assert not {path for path in after if kinds.get(path) and path in before}
    files = {path.rpartition("/")[0] for path in after if path.endswith(".parquet")}
    assert {p.rpartition("/")[0] for p in changed if kinds[p] and p in after} == {
        folder for folder in files if folder.split("/")[2:3] and folder.split("/")[2] in REWRITTEN
    }


def test_the_repair_changes_no_value(takeover: Takeover) -> None:
    """But the notes of what was loaded and built, and what landing says of its partitions."""

    def records(name: str, row: Row) -> bool:
        ledgers = ("loaded_partitions", "loaded_batches", "built_partitions", "landed_partitions")
        return not name.endswith((*ledgers, ".database_identity"))

    before, after = takeover.before, takeover.repaired
    assert differing(before, after, records) == set()
    for title in ("tiny", "muddy", "dropped"):
        for row in after.relations[f"{title}_raw.event_session"]:
            assert row["won"] is row["party_id"] is None
        for row in after.relations[f"{title}_dim.dim_players"]:
            assert FORMER.isdisjoint(row)


def test_what_was_built_counts_as_built_the_old_way(takeover: Takeover) -> None:
    for command in VERIFIED:
        title, lines = command[2], takeover.ended[command].stderr.splitlines()
        wrong = [line for line in lines if line.startswith("differs")]
        if title == "tiny":
            # its files hold what an older version of the simulation made
            assert f"{title}: made by another version of it: 2025-01-01" in wrong.pop(0)
        else:
            # which read some values of its files otherwise
            assert f"{title}: landed by another mapping than today's: 2025-0" in wrong[0]
            assert wrong.pop(0).endswith(f"sprint land --title {title}")
        assert f"{title}: built by another definition than today's: 2025-0" in wrong[0]
        assert wrong[0].endswith(f"sprint run --title {title} --stale")
        # and nothing else is wrong
        assert len(wrong) == 1, lines


def test_a_next_day_lands_and_an_old_one_takes_a_late_record(takeover: Takeover) -> None:
    landed = takeover.ended["land", "--title", "dropped"]
    assert "2025-03-02" in landed.stdout
    assert str(NEXT_DAY) in landed.stdout
    sessions = takeover.after.relations["dropped_raw.event_session"]
    old = takeover.before.relations["dropped_raw.event_session"]
    assert len(sessions) == len(old) + 4
    known = {(row["session_id"], row["player_id"]): row for row in sessions}
    for row in old:
        assert {**row, "party_id": None, "won": None} == known[row["session_id"], row["player_id"]]
    new = [row for row in sessions if row["event_date"] == NEXT_DAY]
    assert [row["won"] for row in sorted(new, key=lambda row: not row["won"])] == [
        True,
        True,
        False,
    ]
    parties = [row["party_id"] for row in new]
    assert parties.count(None) == 1
    assert len(set(parties)) == 2
    # the heartbeat that waited for its session came with it
    beats = takeover.after.relations["dropped_raw.event_heartbeat"]
    assert sum(row["event_date"] == NEXT_DAY for row in beats) == 1


def test_a_stale_day_is_not_a_missing_one(takeover: Takeover) -> None:
    """The schedule, the doctor and the dashboard ask the copy that was published."""
    ledger = title_ledger("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(takeover.data))
        standing = ledger.published_standing()
    assert standing is not None
    assert standing.built == tuple(f"2025-01-0{day}" for day in (1, 2, 3, 4, 5))


def test_only_days_of_the_older_simulation_are_made_anew(takeover: Takeover) -> None:
    before, after = takeover.repaired.files, takeover.after.files
    touched = {path for path in before if after.get(path) != before[path]}
    assert {path.split("/")[1] for path in touched} == {"tiny", "dropped"}
    # the landed title's files were read again: only the day with a late record has other ones now
    assert {
        path.rpartition("/")[0]
        for path in touched
        if path.startswith("raw/dropped/") and after.get(path, (0, ""))[1] != before[path][1]
    } == {"raw/dropped/sessions/event_date=2025-03-02"}
    of_now = sources(takeover.data, HOLE)
    assert len(of_now) == 5
    for day in (1, 2, 3, 5):
        assert sources(takeover.data, date(2025, 1, day)) == of_now


def test_no_table_and_no_view_is_lost(takeover: Takeover) -> None:
    assert len(takeover.before.relations) > 100
    assert takeover.before.relations.keys() <= takeover.after.relations.keys()
    assert takeover.before.published <= takeover.after.published


def test_rows_of_titles_and_days_that_no_command_was_about_are_the_same(
    takeover: Takeover,
) -> None:
    def untouched(name: str, row: Row) -> bool:
        schema, _, table = name.partition(".")
        if table in ("loaded_partitions", "built_partitions", "landed_partitions"):
            return False
        return schema.startswith("muddy_") or schema in ("bronze", "eventlog_raw")

    judged = [
        n for n, rows in takeover.before.relations.items() if any(untouched(n, r) for r in rows)
    ]
    assert len(judged) > 30
    assert differing(takeover.before, takeover.after, untouched) == set()


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
