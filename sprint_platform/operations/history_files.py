"""Dagster's history as the SQLite files that it is: below DAGSTER_HOME, one a run and some for all.

Dagster itself only adds to them, and keeps what it deletes as free pages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
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
        # until then the pages lie in the log beside the file
        con.execute("pragma wal_checkpoint(truncate)")
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
            f"{path}: {error}: stop what has Dagster's history open (sprint ui, a run), and try"
            " again"
        ) from error
