"""Opening the DuckDB file: the settings that every connection of this project shares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EPERM, EROFS
from functools import cache, partial
from pathlib import Path

import duckdb

from sprint_platform.core.compaction import remove_draft
from sprint_platform.core.database_file import when_free
from sprint_platform.core.errors import SprintError, one_line
from sprint_platform.core.locks import Kind, Lock
from sprint_platform.core.memory import free_memory
from sprint_platform.core.network_disk import network_file_system
from sprint_platform.core.settings import settings
from sprint_platform.core.signals import when_stopped
from sprint_platform.engines.database_identity import refuse_lost, refuse_other
from sprint_platform.places import data_dir, database_path, duckdb_temp_dir, published_dir

# A day of a million players goes through the graph with this much (docs/scale.md).
MOST_MEMORY_MIB = 3 * 1024
# With less even a small day spills to the disk. The limit goes by steps of as much: dbt parses the
# project anew, for some seconds, when its profile has another one than before.
LEAST_MEMORY_MIB = 512


class NetworkDiskError(SprintError):
    """The database would lie where locks cannot be relied on."""


def memory_limit() -> str:
    """How much memory DuckDB takes before it spills to the disk: ``SPRINT_DUCKDB_MEMORY``, or a
    quarter of what is free in steps of 512 MiB, up to 3 GiB."""
    return settings().duckdb_memory or _quarter_of_the_free()


# once for a process: DuckDB opens a file a second time only with the options of the first
@cache
def _quarter_of_the_free() -> str:
    steps = (free_memory() // 4 >> 20) // LEAST_MEMORY_MIB
    return f"{min(max(steps, 1) * LEAST_MEMORY_MIB, MOST_MEMORY_MIB)}MiB"


def duckdb_options() -> dict[str, str | bool | int | float | list[str]]:
    """DuckDB's configuration. It does not preserve the order of insertion (nothing relies on it): a
    load then runs on all cores without holding the whole day."""
    return {
        "memory_limit": memory_limit(),
        "temp_directory": str(duckdb_temp_dir()),
        "preserve_insertion_order": False,
    }


def warehouse_lock() -> Lock:
    """The lease: its holder may open the DuckDB file, one process at a time. A pool of Dagster's
    would never free a killed run's slot."""
    path = database_path()
    return Lock(Kind.WAREHOUSE, path.with_name(path.name + ".lock"), f"the warehouse {path}")


@contextmanager
def connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the database file, closed at the end of the block.

    Open it under the lease: DuckDB refuses a second process while one writes. Waits for a program
    that has the file open without a lease; raises LockError where it does not let go,
    OtherDatabaseError where it is not the database that the data folder's files go with, and
    NetworkDiskError on a network file system.
    """
    data_dir().mkdir(parents=True, exist_ok=True)
    path = database_path()
    if kind := network_file_system(path.parent):
        raise NetworkDiskError(
            f"{path} would lie on a network file system ({kind}), where a second writer is not"
            " noticed: set SPRINT_DATA_DIR to a disk of this machine, and link its folders raw and"
            " spark to the shared one (docs/deploy.md)"
        )
    if not path.exists():
        refuse_lost()
    connection = when_free(
        path,
        lambda: duckdb.connect(str(path), config=duckdb_options()),
        f"and read {published_dir()}/sprint.duckdb instead",
    )
    try:
        remove_draft(path)
        refuse_other(connection)
        with when_stopped(partial(_interrupt, connection)):
            yield connection
    except BaseException as error:
        # while a query runs, DuckDB calls the handlers of signals, and wraps what they raise
        cause = error.__cause__ if isinstance(error, RuntimeError) else error
        if cause is None or isinstance(cause, Exception):
            raise
        # the query goes on in DuckDB's threads, and closing waits for it
        _interrupt(connection)
        raise cause from None
    finally:
        connection.close()


def _interrupt(connection: duckdb.DuckDBPyConnection) -> None:
    # a connection that was just closed runs nothing
    with suppress(duckdb.ConnectionException):
        connection.interrupt()


def remedy(error: object) -> str | None:
    """What to do about an error of the system's, or of DuckDB's (also as dbt words it), that no
    program can mend, in one line; None where the error is another one."""
    text = str(error)
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return (
            f"no space left for {data_dir()}: free some, or set SPRINT_DATA_DIR to a larger disk;"
            " what was there before is unchanged"
        )
    if "Out of Memory Error" in text:
        return (
            f"DuckDB needs more memory than {memory_limit()}: set SPRINT_DUCKDB_MEMORY"
            " higher (4GB, say), or run fewer days at once; what was there before is unchanged"
        )
    if "Input/output error" in text:
        named = getattr(error, "filename", None) or data_dir()
        return (
            f"the disk cannot read or write {named} ({one_line(text, 160)}): see the system's log;"
            " what was there before is unchanged"
        )
    if isinstance(error, OSError):
        if error.errno not in (EACCES, EPERM, EROFS):
            return None
        return f"{error.filename or data_dir()}: {error.strerror}: see its permissions"
    if any(sign in text for sign in _BROKEN):
        named = re.search(r'"([^"]+\.duckdb)"', text)
        path = Path(named[1]) if named else database_path()
        mend = "put back a copy of it, or make it anew from the partition files: sprint repair"
        if path.parent == published_dir():
            mend = "remove it: the next run writes it anew"
        return (
            f"{path} is not a whole database of DuckDB {duckdb.__version__}"
            f" ({one_line(text, 160)}): {mend}"
        )
    if any(sign in text for sign in _REFUSED):
        return f"{data_dir()} cannot be written ({one_line(text, 200)}): see its permissions"
    return None


# as DuckDB 1.5 words it; a test breaks a file in each of these ways
_BROKEN = (
    "not a valid DuckDB database file",
    "Could not read enough bytes from file",
    "Corrupt database file",
    "Serialization Error",
    'extension "sqlite_scanner"',
    "trying to read a database file with version",
)
_REFUSED = ("Permission denied", "Read-only file system", "Operation not permitted")
