"""Which database a data folder's files go with: ``data/warehouse.json`` names it, and says how
often it was written to.

The database has the same in a row of its own, which each transaction that loads or publishes
raises. A file that is lost, is another one, or was put back from an older copy is noticed when it
is opened, before marts of all history are published from a part of it.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from sprint_platform.core.errors import SprintError
from sprint_platform.core.whole_file import whole_file
from sprint_platform.places import data_dir, database_path, published_dir
from sprint_platform.storage.ledger import transaction

TABLE = "main.database_identity"
MEND = "put back the file that is missed, or make it anew from the partition files: sprint repair"


class OtherDatabaseError(SprintError):
    """The database is not the one that the data folder's files go with."""


@dataclass(frozen=True)
class Identity:
    """A database by its id, and the number of transactions that loaded or published."""

    database: str
    commits: int


def note_path() -> Path:
    """The note beside the database."""
    return data_dir() / "warehouse.json"


def noted() -> Identity | None:
    """What the note says; None where there is none. Raises OtherDatabaseError where it cannot be
    read."""
    try:
        return Identity(**json.loads(note_path().read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise OtherDatabaseError(
            f"{note_path()} cannot be read ({error}), so that nobody knows whether"
            f" {database_path()} is the database of these files: sprint repair"
        ) from error


def refuse_lost() -> None:
    """Raises OtherDatabaseError where there is no database, but one was loaded or published from.
    Partition files that were never loaded are no loss. Called before a database is made."""
    note = noted()
    if note and note.commits == 0:
        return
    if note is None and not any(published_dir().glob("*/ledger.parquet")):
        return
    raise OtherDatabaseError(
        f"{database_path()} is gone, and {published_dir()} was published from it: {MEND}"
    )


def begin_anew() -> None:
    """Notes that a new database may be made here, whatever was published before; does nothing where
    one is noted."""
    if noted() is None:
        _note(Identity(uuid.uuid4().hex, 0))


def refuse_other(con: duckdb.DuckDBPyConnection) -> None:
    """Raises OtherDatabaseError where the open database is not the noted one, or holds less.

    A database of the version before has no identity yet, and a data folder no note: the one gets
    the other's, or a new one.
    """
    note, found = noted(), _identity(con)
    if found is None:
        if note is not None and note.commits:
            raise OtherDatabaseError(
                f"{database_path()} is another database than the one that was loaded and published"
                f" from before: {MEND}"
            )
        found = note or Identity(uuid.uuid4().hex, 0)
        with transaction(con):
            con.execute(
                f"create table {TABLE} (database varchar not null, commits bigint not null)"
            )
            con.execute(f"insert into {TABLE} values (?, ?)", [found.database, found.commits])
    if note is None or found == note:
        pass
    elif found.database != note.database:
        raise OtherDatabaseError(
            f"{database_path()} is another database than the one that was loaded and published from"
            f" before: {MEND}"
        )
    elif found.commits < note.commits:
        raise OtherDatabaseError(
            f"{database_path()} is an older copy: {note.commits - found.commits} transactions that"
            f" were loaded or published are not in it: {MEND}"
        )
    if found != note:
        # also after a kill between a transaction and its note
        _note(found)


@contextmanager
def counted_transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A transaction that loads or publishes: an older copy of the database will miss it. Only a
    database that ``duckdb_file.connect`` opened is counted."""
    before = _identity(con)
    with transaction(con):
        yield
        if before is not None:
            con.execute(f"update {TABLE} set commits = commits + 1")
    if before is not None:
        _note(Identity(before.database, before.commits + 1))


def count_publication(con: duckdb.DuckDBPyConnection) -> None:
    """Counts what is published next from what dbt built, in transactions of its own."""
    with counted_transaction(con):
        pass


def _identity(con: duckdb.DuckDBPyConnection) -> Identity | None:
    try:
        found = con.execute(f"select database, commits from {TABLE}").fetchone()
    except duckdb.CatalogException:
        return None
    return Identity(*found) if found else None


def _note(identity: Identity) -> None:
    with whole_file(note_path()) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(identity)) + "\n")
        # a note that is empty after a loss of power would stop every run
        file.flush()
        os.fsync(file.fileno())
