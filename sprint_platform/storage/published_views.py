"""The views of the published database as they are written: which folder and files they name."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import duckdb

from sprint_platform.core.duckdb_paths import quoted
from sprint_platform.places import data_dir, published_path


def view_queries() -> tuple[str, ...]:
    """The SQL of each published view; none where nothing is published. Raises duckdb.Error where
    the file cannot be read."""
    path = published_path()
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ()
    return _view_queries(path, stat.st_ino, stat.st_mtime_ns)


@lru_cache(maxsize=1)
def _view_queries(path: Path, _inode: int, _modified_ns: int) -> tuple[str, ...]:
    # attached, and not opened: where this process has the file open, DuckDB refuses other settings
    with duckdb.connect() as con:
        con.execute(f"attach '{quoted(path)}' as published (read_only)")
        found = con.execute(
            "select sql from duckdb_views() where not internal and database_name = 'published'"
        ).fetchall()
    return tuple(sql for (sql,) in found)


def named_parts(folder: Path, names: Collection[str]) -> set[str]:
    """Those of the partition folder's files that a published view names; all of them where that
    cannot be read, as while a shell has the file open for writing."""
    try:
        views = view_queries()
    except duckdb.Error:
        return set(names)
    # from the data folder on: the views of a copy name the original's files
    within = folder.relative_to(data_dir()).as_posix()
    return {name for name in names if any(f"/{within}/{name}'" in view for view in views)}
