"""What a data folder holds, and whether that is right: plain SQL over files and tables.

Nothing here is the product's code: a fault in that must not hide itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

# The column by which a table is replaced, where it has one of these.
PERIODS = (
    "partition_date", "event_date", "signup_date", "load_batch_id", "calendar_day",
    "calendar_date", "year_month", "year_week",
)  # fmt: skip
# The ledger's own tables: they are held against the tables that they are about. And what names the
# database, which counts its transactions.
NOTES = (
    "loaded_partitions", "loaded_batches", "built_from", "built_periods", "database_identity",
)  # fmt: skip
# Columns that differ between two histories of the same content.
OF_A_HISTORY = {"invocation", "landing", "modified_ns", "changed_ns", "ingestion_timestamp"}
# Files of a run's own, which no reader opens; links to what was published before; and a line for
# each landing.
NOT_CONTENT = re.compile(r"data/dbt/|home/|tmp/|\.lock$|/\.files/|landed/[^/]*/landings/")
_VARYING = re.compile(r"[0-9a-f]{8,}|\d+")

# What content is of: "files", "table", "published", "view", "register" or "file"; its name; and
# its period, '' where it has none.
Key = tuple[str, str, str]


@dataclass
class Found:
    """``content``: a digest of the rows of each partition, published file, view's day, register's
    table; of the bytes of a file that is no partition. ``notes``: what the ledgers say of these,
    by key and kind of note. ``wrong``: a line for whatever cannot be read or contradicts itself."""

    content: dict[Key, str] = field(default_factory=dict)
    notes: dict[tuple[Key, str], str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def found_in(project: Path, scratch: Path) -> Found:
    """Reads everything. Databases are read as copies in ``scratch``: opening one may write it."""
    found = Found()
    data = project / "data"
    with duckdb.connect(config={"threads": 1}) as con:
        _partitions(con, data, found)
        _published(con, data, found)
    _views(data, found)
    _other_files(data, found)
    for path in (data / "sprint.duckdb", *sorted(data.glob("landed/*/landing.duckdb"))):
        if path.exists():
            try:
                with _copied(path, scratch) as con:
                    (_warehouse if path.name == "sprint.duckdb" else _register)(con, path, found)
            except duckdb.Error as error:
                found.wrong.append(f"{path.relative_to(project)} cannot be read: {_line(error)}")
    found.wrong += _held_locks(data)
    return found


def between(states: Sequence[Found], now: Found) -> list[str]:
    """A line for each partition whose rows are of none of the states, and for each note that says
    other than its partition holds. ``states`` are what an undisturbed run found and left after each
    command, in this order; ``now`` is what was found after a kill or an error."""
    lines = list(now.wrong)
    held: dict[Key, set[int]] = {}
    # one run replaces all of a table's periods in one transaction, and all tables of a register
    wholes: dict[tuple[str, str], set[int]] = {}
    for key in sorted(now.content.keys() | {key for state in states for key in state.content}):
        content = now.content.get(key)
        of = {n for n, state in enumerate(states) if state.content.get(key) == content}
        if not of:
            what = "is gone" if content is None else "holds neither the old rows nor the new ones"
            lines.append(f"{' '.join(key)} {what}")
            continue
        held[key] = of
        kind, name, _ = key
        if kind in ("table", "register"):
            wholes[kind, name] = wholes.get((kind, name), of) & of
    mixed = [" ".join(whole) for whole, of in wholes.items() if not of]
    lines += [f"{whole} is new in some parts and old in others" for whole in sorted(mixed)]
    for (key, what), note in sorted(now.notes.items()):
        kind, name, period = key
        of_table = kind == "table" and not period
        holds = (wholes.get((kind, name)) if of_table else held.get(key)) or set()
        noted = [state.notes.get((key, what)) for state in states]
        if what == "published":
            # a stamp is of one run; the file may be newer than its stamp, never older
            if holds == {0} and note != noted[0]:
                lines.append(f"{' '.join(key)} holds the old rows, its stamp is of new ones")
        elif note in noted and holds and not any(noted[n] == note for n in holds):
            lines.append(f"{' '.join(key)}: its note ({what}) is of other rows than it holds")
    return lines


def differences(new: Found, now: Found) -> list[str]:
    """A line for whatever differs from an undisturbed history."""
    lines = list(now.wrong)
    for key in sorted(new.content.keys() | now.content.keys()):
        if new.content.get(key) != now.content.get(key):
            what = "is not as in an undisturbed run" if key in now.content else "is missing"
            lines.append(f"{' '.join(key)} {what}")
    return lines


def files_of(project: Path) -> Counter[str]:
    """The files of a project, their names without numbers and digests, and how many of each."""
    names = (str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())
    return Counter(_VARYING.sub("#", name) for name in names if not NOT_CONTENT.search(name))


def left_over(undisturbed: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """A line for the files of which there are more than after an undisturbed run."""
    return [
        f"{number - undisturbed.get(name, 0)} more {name} than after an undisturbed run"
        for name, number in sorted(now.items())
        if number > undisturbed.get(name, 0)
    ]


# -- files --------------------------------------------------------------------------------------


def _partitions(con: duckdb.DuckDBPyConnection, data: Path, found: Found) -> None:
    for path in sorted(data.glob("raw/*/*/*/manifest.json")):
        folder = path.parent.relative_to(data / "raw")
        key = ("files", str(folder.parent), folder.name)
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            parts = [path.parent / part["name"] for part in manifest["parts"]]
            found.content[key] = _rows_of_files(con, parts)
        except (OSError, ValueError, KeyError, duckdb.Error) as error:
            found.wrong.append(f"{' '.join(key)} cannot be read: {_line(error)}")
            found.content[key] = "unreadable"


def _published(con: duckdb.DuckDBPyConnection, data: Path, found: Found) -> None:
    for path in sorted(data.glob("published/*/*/*.parquet")):
        # half written, or half removed: no view names it
        if any(part.startswith(".") for part in path.relative_to(data).parts):
            continue
        key = ("published", f"{path.parts[-3]}/{path.parts[-2]}", path.stem)
        try:
            found.content[key] = _rows_of_files(con, [path])
        except duckdb.Error as error:
            found.wrong.append(f"{' '.join(key)} cannot be read: {_line(error)}")
            found.content[key] = "unreadable"
    for path in sorted(data.glob("published/*/ledger.parquet")):
        try:
            for mart, file, stamp in con.execute(
                "select name, period, digest from read_parquet(?)"
                " where record = 'published' and period is not null",
                [str(path)],
            ).fetchall():
                found.notes[("published", f"{path.parent.name}/{mart}", file), "published"] = stamp
        except duckdb.Error as error:
            found.wrong.append(
                f"published {path.parent.name}'s ledger cannot be read: {_line(error)}"
            )


def _views(data: Path, found: Found) -> None:
    """Every view, as a reader sees it; those of partition files also by day."""
    path = data / "published" / "sprint.duckdb"
    if not path.exists():
        return
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            for schema, view, sql in con.execute(
                "select schema_name, view_name, sql from duckdb_views() where not internal"
            ).fetchall():
                try:
                    digests = _by_period(con, f"{schema}.{view}")
                    if "/raw/" in sql:
                        for period, digest in digests.items():
                            found.content["view", f"{schema}.{view}", period] = digest
                except duckdb.Error as error:
                    found.wrong.append(f"a reader of {schema}.{view} fails: {_line(error)}")
    except duckdb.Error as error:
        found.wrong.append(f"a reader cannot open published/sprint.duckdb: {_line(error)}")


def _other_files(data: Path, found: Found) -> None:
    for path in sorted((*data.glob("eventlog/*.csv"), *data.glob("catalogue/*.csv"))):
        digest = hashlib.md5(path.read_bytes()).hexdigest()
        found.content["file", str(path.relative_to(data)), ""] = digest


def _rows_of_files(con: duckdb.DuckDBPyConnection, paths: Iterable[Path]) -> str:
    names = ", ".join(f"'{path}'" for path in paths)
    if not names:
        return "no rows"
    files = f"read_parquet([{names}], hive_partitioning = false)"
    return _digest(con, f"select cast(row as varchar) as line from {files} as row")


# -- databases ----------------------------------------------------------------------------------


@contextmanager
def _copied(path: Path, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a copy of the database and of its log."""
    copy = scratch / "copy.duckdb"
    for suffix in ("", ".wal"):
        source, target = Path(f"{path}{suffix}"), Path(f"{copy}{suffix}")
        target.unlink(missing_ok=True)
        if source.exists():
            shutil.copyfile(source, target)
    with duckdb.connect(str(copy), config={"threads": 1}) as con:
        yield con


def _warehouse(con: duckdb.DuckDBPyConnection, path: Path, found: Found) -> None:
    tables = _tables(con)
    for schema, table in tables:
        if table not in NOTES:
            for period, digest in _by_period(con, f"{schema}.{table}").items():
                found.content["table", f"{schema}.{table}", period] = digest
    for schema in sorted({schema for schema, table in tables if table == "built_from"}):
        _notes(con, schema, set(tables), found)


def _notes(
    con: duckdb.DuckDBPyConnection, schema: str, tables: set[tuple[str, str]], found: Found
) -> None:
    """What the ledger in the schema says, by what it is about."""
    loaded = "loaded_batches" if (schema, "loaded_batches") in tables else "loaded_partitions"
    period = "load_batch_id" if loaded == "loaded_batches" else "partition_date"
    at = {table: f"{of}.{table}" for of, table in tables if _domain(of) == _domain(schema)}
    for dataset, when, digest in con.execute(
        f"select dataset, cast({period} as varchar), digest from {schema}.{loaded}"
    ).fetchall():
        if table := next((at[name] for name in _names_of(dataset) if name in at), None):
            found.notes[("table", table, when), "loaded"] = digest
    # a view of a model may have the name of the table that it is over
    at = {name: table for name, table in at.items() if not table.startswith(f"{schema}.")}
    for model, digest in con.execute(
        "select model, md5(string_agg(concat_ws(' ', dataset, period, digest, definition), ','"
        f" order by dataset, period)) from {schema}.built_from group by model"
    ).fetchall():
        if model in at:
            found.notes[("table", at[model], ""), "built"] = digest
    for model, noted in con.execute(
        f"select model, sum(row_count) from {schema}.built_periods group by model"
    ).fetchall():
        if model in at:
            [(rows,)] = con.execute(f"select count(*) from {at[model]}").fetchall()
            if rows != noted:
                found.wrong.append(f"table {at[model]} has {rows} rows, its notes say {noted}")


def _names_of(dataset: str) -> Iterator[str]:
    """The names that the table of a dataset may have."""
    yield dataset
    yield f"raw_{dataset}"
    yield f"event_{dataset}"
    yield f"event_{dataset.removesuffix('s')}"


def _domain(schema: str) -> str:
    return "store" if schema in ("bronze", "silver", "gold") else schema.rsplit("_", 1)[0]


def _register(con: duckdb.DuckDBPyConnection, path: Path, found: Found) -> None:
    title = path.parent.name
    for schema, table in _tables(con):
        if table == "changes":
            # a partition is written after the register is committed, or restored by a later landing
            lines = (
                "select concat_ws(' ', dataset, day, arg_max(digest, landing)) as line"
                f" from {schema}.{table} group by dataset, day"
            )
        elif table in ("identity", "landings"):
            continue
        else:
            lines = f"select {_line_of(con, f'{schema}.{table}')} from {schema}.{table} as t"
        found.content["register", title, table] = _digest(con, lines)
    unequal = con.execute(
        "select any_value(dataset), sum(read_of), sum(became) from ("
        " select file_no, dataset, rows_read as read_of, rejected as became from file_records"
        " union all select file_no, dataset, 0, accepted + rejected + duplicates + waiting"
        " from verdicts) group by file_no, dataset having sum(read_of) <> sum(became)"
    ).fetchall()
    for dataset, read, became in unequal:
        found.wrong.append(
            f"register {title}: of {read} records of {dataset} {became} have a verdict"
        )


def _tables(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return con.execute(
        "select schema_name, table_name from duckdb_tables() where not internal and not temporary"
        " order by all"
    ).fetchall()


def _columns(con: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    return [name for name, *_ in con.execute(f"describe select * from {relation}").fetchall()]


def _by_period(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """The digest of the relation's rows by its period; '' where it has none."""
    columns = _columns(con, relation)
    column = next((name for name in PERIODS if name in columns), None)
    line = _line_of(con, relation)
    if column is None:
        return {"": _digest(con, f"select {line} from {relation} as t")}
    return dict(
        con.execute(
            "select period, md5(string_agg(line, chr(10) order by line)) from"
            f" (select coalesce(cast({column} as varchar), '') as period, {line} from {relation})"
            " group by 1"
        ).fetchall()
    )


def _line_of(con: duckdb.DuckDBPyConnection, relation: str) -> str:
    """SQL: a row as text, without what differs between two histories."""
    columns = [name for name in _columns(con, relation) if name not in OF_A_HISTORY]
    values = ", ".join(f"coalesce(cast(\"{name}\" as varchar), '\\N')" for name in columns)
    return f"concat_ws(chr(31), {values}) as line"


def _digest(con: duckdb.DuckDBPyConnection, lines: str) -> str:
    row = con.execute(
        f"select md5(string_agg(line, chr(10) order by line)) from ({lines})"
    ).fetchone()
    return (row and row[0]) or "no rows"


# -- locks --------------------------------------------------------------------------------------


def _held_locks(data: Path) -> list[str]:
    lines = []
    for path in sorted(data.rglob("*.lock")):
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lines.append(f"the lock {path.relative_to(data)} is held")
        finally:
            os.close(descriptor)
    return lines


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
