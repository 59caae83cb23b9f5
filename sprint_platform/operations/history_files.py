"""Dagster's history as the SQLite files that it is: below DAGSTER_HOME, one a run and some for all.

Dagster itself only adds to them, and keeps what it deletes as free pages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sprint_platform.core.compaction import Compacted, CompactionError

# A run or the UI writes for much less than this.
SECONDS = 10.0


def history_files(home: Path) -> list[Path]:
    """The SQLite files of the history in this home, those of all runs first."""
    folders = ("history", "history/runs", "schedules")
    return [path for folder in folders for path in sorted((home / folder).glob("*.db"))]


def vacuum(path: Path) -> Compacted | None:
    """Writes the file anew without free pages; None where it has none. SQLite does so in one
    transaction. Raises CompactionError where another program has the file locked."""
    with opened(path) as con:
        [[free]] = con.execute("pragma freelist_count").fetchall()
        if not free:
            return None
        before = path.stat().st_size
        con.execute("vacuum")
        _into_the_file(con)
    return Compacted(path, before, path.stat().st_size)


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, for statements that are each a transaction of their own. Raises CompactionError
    where another program has it locked, or where it cannot be read or written."""
    try:
        with closing(sqlite3.connect(path, timeout=SECONDS, isolation_level=None)) as con:
            yield con
    except sqlite3.Error as error:
        raise CompactionError(
            f"{path}: {error}: stop what has Dagster's history open (sprint ui, a run), or free"
            " some space, and try again"
        ) from error


def replace_in_tables(path: Path, replaced: Callable[[str], str], texts: Sequence[str]) -> int:
    """Replaces each text of the file's tables that has one of the ``texts`` in it by what
    ``replaced`` makes of it, and leaves no copy of the old one in the file. Returns how many texts
    changed."""
    changed = 0
    with opened(path) as con:
        # what is freed is overwritten
        con.execute("pragma secure_delete = on")
        for table, column in con.execute(
            "select m.name, c.name from sqlite_master as m, pragma_table_info(m.name) as c"
            " where m.type = 'table' and m.name not like 'sqlite_%'"
        ).fetchall():
            where = " or ".join(f"instr({_name(column)}, ?) > 0" for _ in texts)
            found = con.execute(
                f"select rowid, {_name(column)} from {_name(table)}"
                f" where typeof({_name(column)}) = 'text' and ({where})",
                list(texts),
            ).fetchall()
            for row, text in found:
                if (new := replaced(text)) != text:
                    con.execute(
                        f"update {_name(table)} set {_name(column)} = ? where rowid = ?", [new, row]
                    )
                    changed += 1
        if changed:
            con.execute("vacuum")
        _into_the_file(con)
    return changed


def _into_the_file(con: sqlite3.Connection) -> None:
    """Moves what was written from the log beside the file into it, and empties the log."""
    [[busy, *_]] = con.execute("pragma wal_checkpoint(truncate)").fetchall()
    if busy:
        raise sqlite3.OperationalError("database is locked")


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
