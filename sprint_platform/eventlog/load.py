"""Loading a batch's files into a warehouse: the modes, the same for every warehouse.

All tables of a load change in one transaction: a load that fails leaves the old data.
"""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from sprint_platform.core.errors import SprintError
from sprint_platform.dataset import BATCH_COLUMN, Dataset
from sprint_platform.eventlog.contracts import RAW_TABLES


class Mode(StrEnum):
    """What becomes of the rows that are there: all of them go (recreate), all of them stay
    (append), or those of the batch go (replace)."""

    RECREATE = "recreate"
    APPEND = "append"
    REPLACE = "replace"


class LoadError(SprintError):
    """A load that could not be done, and changed nothing."""


@dataclass(frozen=True)
class TableLoad:
    """What a load did to a table: rows of the file that it added, rows that were there already and
    stayed, rows that it removed."""

    table: str
    added: int
    there_already: int
    removed: int


@dataclass(frozen=True)
class LoadReport:
    """What a load did, table by table, and how long it took."""

    tables: tuple[TableLoad, ...]
    seconds: float


class Target(Protocol):
    """A warehouse, as far as a load needs it. ``described`` says for people where it is, without
    credentials."""

    @property
    def described(self) -> str: ...

    def existing(self) -> dict[str, bool]:
        """Which of the raw tables are there, and whether with their contract's columns."""

    def relation(self, table: Dataset) -> str:
        """The table's qualified name."""

    def stage(self, table: Dataset, path: Path) -> str:
        """Makes the rows of a CSV file readable under the name that it returns, with the table's
        types, until the connection ends. Raises LoadError where they cannot be read."""

    def make(self, table: Dataset) -> None:
        """Makes sure that the table is there with its contract's columns; an empty one replaces a
        table of other columns, if the load succeeds. Called before the transaction."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commits at the end of the block, or undoes everything where it raises."""

    def execute(self, sql: str) -> int:
        """Runs a statement; returns how many rows it changed."""

    def rows(self, sql: str) -> list[tuple]:
        """A query's rows."""

    @property
    def ledger_schema(self) -> str:
        """Where the ledger's tables lie (``storage.ledger``)."""

    def ensure_ledger(self) -> None:
        """Creates the ledger's tables where they are missing. Called before the transaction."""


def load(
    target: Target, files: Mapping[str, Path], mode: Mode, batch: int | None = None
) -> LoadReport:
    """Loads the files (by raw table) into the target. ``replace`` needs the ``batch`` whose rows
    the files hold.

    Append adds the rows whose key is not there: done twice, it adds nothing. Raises LoadError when
    a file is not its table's; when a table that rows should be added to is missing or of other
    columns; when a row to append has a key that is there with other values; or when a file holds
    rows of another batch than the one to replace.
    """
    if mode is Mode.REPLACE and batch is None:
        raise ValueError("replace needs the batch that it replaces")
    began = time.perf_counter()
    tables = [RAW_TABLES[name] for name in RAW_TABLES if name in files]
    if mode is not Mode.RECREATE:
        _check_tables(target, tables, mode)
    for table in tables:
        _check_header(table, files[table.name])
    staged = {table.name: target.stage(table, files[table.name]) for table in tables}
    if mode is not Mode.APPEND:
        for table in tables:
            target.make(table)
    target.ensure_ledger()
    digests = {table.name: _sha256(files[table.name]) for table in tables}
    done = []
    with target.transaction():
        for table in tables:
            # what the load leaves of the table's batches
            left = {} if mode is Mode.RECREATE else rows_by_batch(target, table)
            if batch is not None and mode is Mode.REPLACE:
                left.pop(batch, None)
            done.append(_load_table(target, table, staged[table.name], mode, batch))
            _record_loaded(target, table, left, digests[table.name])
    return LoadReport(tuple(done), time.perf_counter() - began)


def _check_tables(target: Target, tables: list[Dataset], mode: Mode) -> None:
    """Raises LoadError where no rows can be added to a table; replace makes missing ones."""
    there = target.existing()
    missing = [table.name for table in tables if table.name not in there]
    if missing and mode is Mode.APPEND:
        raise LoadError(
            f"{target.described} has no {', '.join(missing)} to append to:"
            " load with --mode recreate first"
        )
    if other := [table.name for table in tables if there.get(table.name) is False]:
        raise LoadError(
            f"{target.described} has {', '.join(other)} with other columns than batches have:"
            " load with --mode recreate, which drops what is there"
        )


def _check_header(table: Dataset, path: Path) -> None:
    """Raises LoadError for other columns or another order of them: they are read by their place."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LoadError(f"{path} cannot be read ({error}): nothing was loaded") from error
    if header != table.column_names:
        raise LoadError(
            f"{path} has the columns {', '.join(header) or '(none)'}, not those of {table.name}"
            f" ({', '.join(table.column_names)}): generate it anew; nothing was loaded"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def rows_by_batch(target: Target, table: Dataset) -> dict[int, int]:
    """How many rows the table has of each batch."""
    found = target.rows(
        f"select {BATCH_COLUMN}, count(*) from {target.relation(table)} group by 1 order by 1"
    )
    return {int(batch): int(rows) for batch, rows in found}


def _record_loaded(target: Target, table: Dataset, before: Mapping[int, int], sha256: str) -> None:
    """Notes what the table's batches were loaded from: the file, and what they held where rows were
    added to it. The note of a batch to which nothing was added stays. ``before`` is how many
    rows the batches had that the load left."""
    ledger = f"{target.ledger_schema}.loaded_batches"
    of_table = f"dataset = '{table.name}'"
    now = rows_by_batch(target, table)
    changed = [batch for batch in now if now[batch] != before.get(batch)]
    noted = {
        int(batch): str(digest)
        for batch, digest in target.rows(
            f"select {BATCH_COLUMN}, digest from {ledger} where {of_table}"
        )
    }
    gone = ", ".join(str(batch) for batch in {*changed, *(noted.keys() - now.keys())})
    if gone:
        target.execute(f"delete from {ledger} where {of_table} and {BATCH_COLUMN} in ({gone})")
    if changed:
        values = ", ".join(
            f"('{table.name}', {batch},"
            f" '{loaded_digest(sha256, noted.get(batch, '') if batch in before else '')}')"
            for batch in changed
        )
        target.execute(f"insert into {ledger} values {values}")


def loaded_digest(sha256: str, before: str = "") -> str:
    """The digest of a batch loaded from a file, added to that of what was there ``before``."""
    return hashlib.blake2b(f"{before}{sha256}".encode(), digest_size=16).hexdigest()


def _load_table(
    target: Target, table: Dataset, staged: str, mode: Mode, batch: int | None
) -> TableLoad:
    relation = target.relation(table)
    columns, (key,) = ", ".join(table.column_names), table.key
    insert = f"insert into {relation} ({columns}) select {columns} from {staged}"
    if mode is Mode.APPEND:
        there = _there_already(target, table, staged)
        if there:
            insert += (
                f" where not exists (select 1 from {relation} as present"
                f" where present.{key} = {staged}.{key})"
            )
        return TableLoad(table.name, target.execute(insert), there, 0)
    if mode is Mode.RECREATE:
        removed = target.execute(f"delete from {relation}")
        return TableLoad(table.name, target.execute(insert), 0, removed)
    of_batch = f"{BATCH_COLUMN} = {batch}"
    removed = target.execute(f"delete from {relation} where {of_batch}")
    _check_ids(target, table, staged, batch)
    added = target.execute(insert)
    held = target.rows(f"select count(*) from {relation} where {of_batch}")[0][0]
    if held != added:
        raise LoadError(
            f"{relation} would hold {held:,} rows of batch {batch} after {added:,} were added: the"
            " file has rows of another batch, or another load is at work; nothing was loaded"
        )
    return TableLoad(table.name, added, 0, removed)


def _check_ids(target: Target, table: Dataset, staged: str, batch: int | None) -> None:
    """Raises LoadError where a row has the id of one of another batch: a batch 1 that grew would
    take the ids of one that was numbered on from it."""
    (key,) = table.key
    first = target.rows(f"select {key} from {staged} limit 1")
    if not first or first[0][0].startswith(f"{key.removesuffix('id')}{batch}_"):
        return  # a namespace that no other batch has
    shared = target.rows(
        f"select count(*), min(present.{BATCH_COLUMN}) from {staged} as incoming"
        f" inner join {target.relation(table)} as present"
        f" on present.{key} = incoming.{key}"
    )[0]
    if shared[0]:
        raise LoadError(
            f"{table.name} has {shared[0]:,} of the ids already, in batch {shared[1]}, which was"
            f" numbered on from what was there: nothing was loaded. Make batch {batch} no larger"
            " than it was, or load with --mode recreate"
        )


def _there_already(target: Target, table: Dataset, staged: str) -> int:
    """How many of the staged rows are in the table. Raises LoadError where one has other values
    there: that batch was made with another seed or other settings, and both must not be mixed."""
    relation, (key,) = target.relation(table), table.key
    differs = " or ".join(
        # as text, since JSON cannot be compared
        f"cast(present.{c.name} as varchar) is distinct from cast(incoming.{c.name} as varchar)"
        for c in table.columns
        if c.name != key
    )
    there, other = target.rows(
        f"select count(*), coalesce(sum(case when {differs} then 1 else 0 end), 0)"
        f" from {staged} as incoming inner join {relation} as present"
        f" on present.{key} = incoming.{key}"
    )[0]
    if other:
        raise LoadError(
            f"{other:,} rows of {table.name} are in {target.described} with other values: the batch"
            " there was made with another seed or other settings; nothing was loaded. Generate"
            " another batch, or load with --mode recreate"
        )
    return int(there)
