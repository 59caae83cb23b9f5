"""Loading a batch's files: what is checked of them, and which digest a batch then has.

All tables of a load change in one transaction: a load that fails leaves the old data.
"""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

from sprint_platform.dataset import BATCH_COLUMN, Dataset
from sprint_platform.engines.engine import LoadError
from sprint_platform.engines.load import LoadReport, Mode, TableLoad
from sprint_platform.eventlog.warehouse import EventlogEngine

# Python's own limit of a CSV value, 128 KiB, is less than a JSON value may have.
LONGEST_VALUE = 2**31 - 1


def load(
    engine: EventlogEngine, files: Mapping[str, Path], mode: Mode, batch: int | None = None
) -> LoadReport[int]:
    """Loads the files (by raw table) into the engine. ``replace`` needs the ``batch`` whose rows
    the files hold.

    Append adds the rows whose key is not there: done twice, it adds nothing. Raises LoadError when
    a file is not its table's; when a table that rows should be added to is missing or of other
    columns; when a row to append has a key that is there with other values; or when a file holds
    rows of another batch than the one to replace.
    """
    if mode is not Mode.REPLACE:
        batch = None
    elif batch is None:
        raise ValueError("replace needs the batch that it replaces")
    began = time.perf_counter()
    tables = [table for table in engine.tables if table.name in files]
    if mode is not Mode.RECREATE:
        _check_tables(engine, tables, mode)
    for table in tables:
        _check_header(table, files[table.name])
        _check_json(table, files[table.name])
    staged = {table.name: engine.stage(table, files[table.name]) for table in tables}
    if mode is not Mode.APPEND:
        for table in tables:
            engine.make(table)
    engine.ensure_ledger()
    digests = {table.name: _sha256(files[table.name]) for table in tables}
    done = []
    with engine.transaction():
        for table in tables:
            # what the load leaves of the table's batches
            left = {} if mode is Mode.RECREATE else rows_by_batch(engine, table)
            if batch is not None:
                left.pop(batch, None)
            done.append(_load_table(engine, table, staged[table.name], mode, batch))
            _note_loaded(engine, table, left, digests[table.name])
    return LoadReport(tuple(done), time.perf_counter() - began, engine.described)


def _check_tables(engine: EventlogEngine, tables: list[Dataset], mode: Mode) -> None:
    """Raises LoadError where no rows can be added to a table; replace makes missing ones."""
    there = engine.existing()
    missing = [table.name for table in tables if table.name not in there]
    if missing and mode is Mode.APPEND:
        raise LoadError(
            f"{engine.described} has no {', '.join(missing)} to append to:"
            " load with --mode recreate first"
        )
    if other := [table.name for table in tables if there.get(table.name) is False]:
        raise LoadError(
            f"{engine.described} has {', '.join(other)} with other columns than batches have:"
            " load with --mode recreate, which drops what is there"
        )


def _check_header(table: Dataset, path: Path) -> None:
    """Raises LoadError for other columns or another order of them: they are read by their place."""
    try:
        # with a byte order mark or without, as engines read it: Excel writes one
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error
    if header != table.column_names:
        raise LoadError(
            f"{path} has the columns {', '.join(header) or '(none)'}, not those of {table.name}"
            f" ({', '.join(table.column_names)}): generate it anew; nothing was loaded"
        )


def _unreadable(path: Path, error: Exception) -> LoadError:
    return LoadError(f"{path} cannot be read ({error}): nothing was loaded")


def _check_json(table: Dataset, path: Path) -> None:
    """Raises LoadError where a value of a JSON column has NaN or Infinity, which JSON does not
    know, though DuckDB and Python read it. Only files with these letters are read by rows."""
    places = [n for n, column in enumerate(table.columns) if column.type == "json"]
    if not places or not _has_letters(path, (b"NaN", b"Infinity")):
        return

    def refuse(word: str) -> None:
        raise ValueError(word)

    csv.field_size_limit(LONGEST_VALUE)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file)):
                for place in places if number else ():
                    try:
                        json.loads(row[place] or "null", parse_constant=refuse)
                    except (ValueError, IndexError, RecursionError) as error:
                        raise LoadError(
                            f"{path}, row {number}: {table.columns[place].name} is no JSON"
                            f" ({str(error)[:80]}): nothing was loaded"
                        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _has_letters(path: Path, words: tuple[bytes, ...]) -> bool:
    rest = b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if any(word in rest + block for word in words):
                return True
            rest = block[-max(map(len, words)) :]
    return False


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def rows_by_batch(engine: EventlogEngine, table: Dataset) -> dict[int, int]:
    """How many rows the table has of each batch."""
    found = engine.rows(
        f"select {BATCH_COLUMN}, count(*) from {engine.relation(table)} group by 1 order by 1"
    )
    return {int(batch): int(rows) for batch, rows in found}


def _note_loaded(
    engine: EventlogEngine, table: Dataset, before: Mapping[int, int], sha256: str
) -> None:
    """Notes what the table's batches were loaded from: the file, and what they held where rows were
    added to it. The note of a batch to which nothing was added stays. ``before`` is how many
    rows the batches had that the load left."""
    now = rows_by_batch(engine, table)
    noted = engine.loaded(table)
    digests = {
        batch: loaded_digest(sha256, noted.get(batch, "") if batch in before else "")
        for batch in now
        if now[batch] != before.get(batch)
    }
    engine.note_batches(table, digests, gone=noted.keys() - now.keys())


def loaded_digest(sha256: str, before: str = "") -> str:
    """The digest of a batch loaded from a file, added to that of what was there ``before``."""
    return hashlib.blake2b(f"{before}{sha256}".encode(), digest_size=16).hexdigest()


def _load_table(
    engine: EventlogEngine, table: Dataset, staged: str, mode: Mode, batch: int | None
) -> TableLoad[int]:
    there = removed = 0
    if mode is Mode.APPEND:
        there = _there_already(engine, table, staged)
    else:
        removed = engine.remove(table, None if batch is None else [batch])
    if batch is not None:
        _check_ids(engine, table, staged, batch)
    added = engine.insert(table, staged, missing_only=there > 0)
    if batch is not None and (held := engine.held(table, [batch])[batch]) != added:
        raise LoadError(
            f"{engine.relation(table)} would hold {held:,} rows of batch {batch} after"
            f" {added:,} were added: the file has rows of another batch, or another load is at"
            " work; nothing was loaded"
        )
    return TableLoad(table.name, added, there, removed)


def _check_ids(engine: EventlogEngine, table: Dataset, staged: str, batch: int) -> None:
    """Raises LoadError where a row has the id of one of another batch: a batch 1 that grew would
    take the ids of one that was numbered on from it."""
    (key,) = table.key
    first = engine.rows(f"select {key} from {staged} limit 1")
    if not first or first[0][0].startswith(f"{key.removesuffix('id')}{batch}_"):
        return  # a namespace that no other batch has
    shared = engine.rows(
        f"select count(*), min(present.{BATCH_COLUMN}) from {staged} as incoming"
        f" inner join {engine.relation(table)} as present"
        f" on present.{key} = incoming.{key}"
    )[0]
    if shared[0]:
        raise LoadError(
            f"{table.name} has {shared[0]:,} of the ids already, in batch {shared[1]}, which was"
            f" numbered on from what was there: nothing was loaded. Make batch {batch} no larger"
            " than it was, or load with --mode recreate"
        )


def _there_already(engine: EventlogEngine, table: Dataset, staged: str) -> int:
    """How many of the staged rows are in the table. Raises LoadError where one has other values
    there: that batch was made with another seed or other settings, and both must not be mixed."""
    relation, (key,) = engine.relation(table), table.key
    differs = " or ".join(
        # as text, since JSON cannot be compared
        f"cast(present.{c.name} as varchar) is distinct from cast(incoming.{c.name} as varchar)"
        for c in table.columns
        if c.name != key
    )
    there, other = engine.rows(
        f"select count(*), coalesce(sum(case when {differs} then 1 else 0 end), 0)"
        f" from {staged} as incoming inner join {relation} as present"
        f" on present.{key} = incoming.{key}"
    )[0]
    if other:
        raise LoadError(
            f"{other:,} rows of {table.name} are in {engine.described} with other values: the batch"
            " there was made with another seed or other settings; nothing was loaded. Generate"
            " another batch, or load with --mode recreate"
        )
    return int(there)
