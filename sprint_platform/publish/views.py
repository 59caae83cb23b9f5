"""The published database: a small file of views over what is published, and over the heartbeats'
partition files.

A view names whole paths: DuckDB would take a relative one from the reader's working directory. Each
view therefore refuses where its file was copied or moved to another folder (DuckDB before 1.5 does
not say reliably where a file lies, and reads on); what opens it here writes it anew first.

A view reads links to the files as they were when it was written. DuckDB opens a Parquet file by its
name for the footer and again for the rows: of a file that is replaced in between it would read the
new rows by the old footer.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import count
from pathlib import Path

import duckdb

from sprint_platform.core.duckdb_paths import glob_of, quoted
from sprint_platform.core.errors import SprintError, one_line
from sprint_platform.core.locks import LockError, hold
from sprint_platform.core.settings import settings
from sprint_platform.core.whole_file import temporary_beside, whole_file
from sprint_platform.engines.duckdb_file import duckdb_options, warehouse_lock
from sprint_platform.places import (
    data_dir,
    duckdb_temp_dir,
    published_dir,
    published_path,
    raw_dir,
)
from sprint_platform.storage.ledger import Ledger, PublishedMart, title_ledger
from sprint_platform.storage.partitions import PartitionError, partition_dir, read_manifest
from sprint_platform.storage.published_views import view_queries
from sprint_platform.telemetry.contracts import DATASETS

# Every mart has this file without rows: its view needs the columns when no period has rows.
NO_ROWS = "columns.parquet"
# In each mart's folder: the links that views read.
LINKS = ".files"
# A link to a file that was replaced stays for the queries that began before.
SECONDS_OF_A_QUERY = 600.0
# A run that holds the warehouse for longer writes the views itself.
SECONDS_TO_WAIT = 10.0
_readers = count()


class NotPublishedHere(SprintError):
    """A published database that is not there, or is another folder's. The message is one line."""


def published_database() -> Path:
    """The published database, whose views read this data folder: they are written anew where it was
    copied or moved here. Raises NotPublishedHere where there is none, and where they cannot be
    written."""
    path = published_path()
    if not path.exists():
        raise NotPublishedHere(f"nothing is published: there is no {path}")
    if not _reads_this_folder():
        try:
            with hold(warehouse_lock(), "a reader of a copied data folder", SECONDS_TO_WAIT):
                if not _reads_this_folder():
                    publish_views()
        except (OSError, duckdb.Error, LockError) as error:
            raise NotPublishedHere(
                f"{path} was written for another folder, whose data it would show; it cannot be"
                f" written anew: {one_line(error, 300)}"
            ) from error
    return path


@contextmanager
def open_published() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads ``published_database``, closed at the end of the block."""
    path = published_database()
    folder = data_dir() if settings().duckdb_temp is None else duckdb_temp_dir()
    # its own place to spill to: DuckDB's processes would write over each other's files in one
    with temporary_beside(folder / f"reader-{next(_readers)}") as spill:
        # attached to a new in-memory database: DuckDB shares one database per path within the
        # process while it is open anywhere, even after the file has been replaced
        con = duckdb.connect(config={**duckdb_options(), "temp_directory": str(spill)})
        try:
            con.execute(f"attach '{quoted(path)}' as published (read_only)")
            con.execute("use published")
            yield con
        finally:
            con.close()


def _reads_this_folder() -> bool:
    folders = [f"'{quoted(form)}{os.sep}" for form in (data_dir(), glob_of(data_dir()))]
    return all(any(folder in view for folder in folders) for view in view_queries())


def publish_views(without: str | None = None) -> None:
    """Writes the published database anew: a view per published mart, and per title
    ``<title>_raw.event_heartbeat`` over its partition files; ``without`` leaves out the marts of a
    title or domain. The caller holds the lease."""
    root = published_dir()
    with whole_file(published_path()) as temporary, duckdb.connect(str(temporary)) as con:
        here = _guard(con, temporary.name)
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            if folder.name == without or folder.name.startswith("."):
                continue
            ledger = title_ledger(folder.name)
            marts = ledger.published_marts(con)
            for mart in sorted(path for path in folder.iterdir() if path.is_dir()):
                _mart_view(con, mart, marts.get(mart.name), here)
        for folder in sorted((data_dir() / "raw").glob("*")):
            _heartbeat_view(con, title_ledger(folder.name), here)
        # closing the file would not say that the disk is full, and leave the views in its log
        con.execute("checkpoint")
    remove_links(SECONDS_OF_A_QUERY)


def remove_links(seconds: float) -> None:
    """Removes the links to published files that were replaced or removed this long ago."""
    for folder in published_dir().glob(f"*/*/{LINKS}"):
        current = {_link_of(path) for path in folder.parent.glob("*.parquet")}
        for link in set(folder.glob("*.parquet")) - current:
            # the change time is that of the moment in which the file lost its own name
            if time.time() - link.stat().st_ctime >= seconds:
                link.unlink()


def _link_of(path: Path) -> Path:
    """Where the link to a published file lies, as the file is now."""
    stat = path.stat()
    return path.parent / LINKS / f"{path.stem}.{stat.st_ino:x}.{stat.st_mtime_ns:x}.parquet"


def _linked(path: Path) -> Path:
    """The link to a published file as it is now; the file itself where its disk has no links."""
    link = _link_of(path)
    if link.exists() and link.samefile(path):
        return link
    try:
        with whole_file(link) as temporary:
            os.link(path, temporary)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        return path
    return link


def _guard(con: duckdb.DuckDBPyConnection, temporary: str) -> str:
    """SQL: the condition that the views' file lies where it was written for, or an error that says
    where that is. The path is DuckDB's own, without symbolic links."""
    found = con.execute("select path from duckdb_databases() where not internal").fetchone()
    assert found is not None
    path = found[0].removesuffix(temporary) + published_path().name
    says = (
        f"this file was written for {path} and reads the data there: open it there, or run"
        " `sprint ask 1` where it lies now, which writes it anew"
    )
    return (
        "(select case when count(*) > 0 or version() < 'v1.5' then true"
        f" else error('{quoted(says)}') end from duckdb_databases() where path = '{quoted(path)}')"
    )


def _mart_view(
    con: duckdb.DuckDBPyConnection, folder: Path, known: PublishedMart | None, here: str
) -> None:
    """Creates the mart's view, with the columns of the newest publication, by name. A column that
    the mart gained is null in older files; only where there are such files does a reader open all
    of them for their columns."""
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        return
    columns = "*"
    # the version before wrote no such file for what landing refused
    if (folder / NO_ROWS).exists():
        empty = quoted(glob_of(folder / NO_ROWS))
        described = con.execute(f"describe select * from read_parquet('{empty}')").fetchall()
        columns = ", ".join(f'"{name}"' for name, *_ in described)
    files = ", ".join(f"'{quoted(glob_of(_linked(path)))}'" for path in paths)
    schema = known.schema if known else f"{folder.parent.name}_mart"
    union = "true" if known is None or known.mixed else "false"
    con.execute(f"create schema if not exists {schema}")
    con.execute(
        f"create view {schema}.{folder.name} as select {columns}"
        f" from read_parquet([{files}], union_by_name = {union}) where {here}"
    )


def _heartbeat_view(con: duckdb.DuckDBPyConnection, ledger: Ledger, here: str) -> None:
    """Creates the view of the files that were loaded. A folder holds a replaced part until its next
    write, so that an older view stays readable. For a day whose loaded files are gone (landed twice
    since the last load, say) the view has what the manifest lists."""
    title = ledger.name
    loaded = ledger.published_files(con, "heartbeats")
    paths: dict[date, list[Path]] = {}
    for day, parts in (loaded or _listed_files(title)).items():
        paths[day] = [partition_dir(title, "heartbeats", day) / name for name in parts]
        if not all(path.exists() for path in paths[day]):
            parts = _listed_files(title, day.isoformat()).get(day, [])
            paths[day] = [partition_dir(title, "heartbeats", day) / name for name in parts]
    files = [f"'{quoted(glob_of(path))}'" for parts in paths.values() for path in parts]
    if files:
        contract = DATASETS["heartbeats"]
        con.execute(f"create schema if not exists {contract.schema_name(title)}")
        con.execute(
            f"create view {contract.relation(title)} as select * from read_parquet("
            f"[{', '.join(files)}], hive_partitioning = true, hive_types = {{'event_date': date}})"
            f" where {here}"
        )


def _listed_files(title: str, days: str = "????-??-??") -> dict[date, list[str]]:
    """The files that the manifests list, by day. Used where no ledger says what was loaded: before
    the first publication, and in a data folder of the version before."""
    files = {}
    for folder in sorted(raw_dir(title, "heartbeats").glob(f"event_date={days}")):
        day = date.fromisoformat(folder.name.removeprefix("event_date="))
        try:
            manifest = read_manifest(title, "heartbeats", day)
        except PartitionError as error:
            # one damaged day must not stop every title's publication; its load names it, too
            logging.getLogger(__name__).warning("left out of the published view: %s", error)
            continue
        if manifest:
            files[day] = [part.name for part in manifest.parts]
    return files
