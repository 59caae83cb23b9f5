"""A DuckDB file written anew, without the room that replaced rows leave in it.

DuckDB never gives the blocks of deleted rows back to the disk. The file is written beside itself
and renamed into place in one step: a kill at any moment leaves the old file or the new one.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
from rich.filesize import decimal as bytes_as_text

from sprint_platform.core.errors import SprintError

# What a database holds beside the rows, as SQL that would create it: columns with their types,
# which may be null, defaults and keys are in a table's.
_CATALOGUE = """
select 'schema' as kind, schema_name, '' as name, coalesce(comment, '') as definition
from duckdb_schemas() where database_name = $name and not internal
union all
select 'table', schema_name, table_name, sql || coalesce(comment, '')
from duckdb_tables() where database_name = $name and not internal
union all
select 'view', schema_name, view_name, sql || coalesce(comment, '')
from duckdb_views() where database_name = $name and not internal
union all
select 'index', schema_name, index_name, sql from duckdb_indexes() where database_name = $name
union all
select 'sequence', schema_name, sequence_name, sql
from duckdb_sequences() where database_name = $name
union all
select 'type', schema_name, type_name, logical_type || coalesce(labels::varchar, '')
from duckdb_types() where database_name = $name and not internal
union all
select 'macro', schema_name, function_name, coalesce(macro_definition, '')
from duckdb_functions() where database_name = $name and not internal
order by all
"""


class CompactionError(SprintError):
    """A file that was not compacted, and is as it was. The message is one line."""


@dataclass(frozen=True)
class Compacted:
    """A file's bytes before and after."""

    path: Path
    before: int
    after: int


def compact(con: duckdb.DuckDBPyConnection, path: Path) -> Compacted:
    """Writes the file at ``path``, which ``con`` has open, anew, and puts it in place. ``con``
    still has the old file: it is of no use afterwards but to be closed.

    The new file is compared with the old one first: everything that is defined in it, and the
    number and a hash of each table's rows. Raises CompactionError where they differ, or where the
    disk has no room for a second file; any error leaves the old file.
    """
    con.execute("checkpoint")
    before = path.stat().st_size
    _require_room(con, path)
    draft = draft_of(path)
    remove_draft(path)
    # or the rows of a day would no longer lie side by side, where DuckDB skips those of other days
    con.execute("set preserve_insertion_order = true")
    try:
        quoted = str(draft).replace("'", "''")
        con.execute(f"attach '{quoted}' as compacted")
        con.execute(f'copy from database "{_name(con)}" to compacted')
        con.execute("checkpoint compacted")
        _require_same(con, path)
        con.execute("detach compacted")
        sync(draft)
        os.replace(draft, path)
        sync(path.parent)
    finally:
        remove_draft(path)
    return Compacted(path, before, path.stat().st_size)


def draft_of(path: Path) -> Path:
    """Where the file that will replace ``path`` is written."""
    return path.with_name(path.name + ".compacting")


def remove_draft(path: Path) -> None:
    """Removes what a compaction that was killed has left. To be called by who has ``path`` open for
    writing: nobody else compacts it then."""
    draft = draft_of(path)
    for file in (draft, draft.with_name(draft.name + ".wal")):
        file.unlink(missing_ok=True)


def _name(con: duckdb.DuckDBPyConnection) -> str:
    return str(con.execute("select current_database()").fetchall()[0][0])


def _require_room(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    [[needed]] = con.execute(
        "select used_blocks * block_size from pragma_database_size()"
        " where database_name = current_database()"
    ).fetchall()
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise CompactionError(
            f"{path} needs {bytes_as_text(needed)} beside itself to be written anew, and"
            f" {bytes_as_text(free)} are free: free some; nothing was changed"
        )


def _require_same(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    old = _name(con)
    catalogues = [con.execute(_CATALOGUE, {"name": name}).fetchall() for name in (old, "compacted")]
    unlike = [definition[:3] for definition in set(catalogues[0]) ^ set(catalogues[1])]
    for kind, schema, table, _ in [] if unlike else catalogues[0]:
        if kind == "table":
            counted = [
                con.execute(
                    f'select count(*), sum(hash(rows)) from "{name}"."{schema}"."{table}" as rows'
                ).fetchall()
                for name in (old, "compacted")
            ]
            if counted[0] != counted[1]:
                unlike.append((kind, schema, table))
    if unlike:
        kind, schema, name = min(unlike)
        raise CompactionError(
            f"{path}: written anew, {kind} {schema}.{name} would be another one: the file was left"
            " as it is; report this"
        )


def sync(path: Path) -> None:
    """Waits until the file, or the names in a folder, are on the disk: after a power cut the rename
    must not be there without the file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
