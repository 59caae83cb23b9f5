"""The lease: the right to open the one DuckDB file for writing, one process at a time.

It is an operating system's advisory lock, so a holder that dies (killed, out of memory, power cut)
frees it without anybody's help; a Dagster pool keeps a killed run's slot for ever.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from sprint_platform.core.errors import SprintError
from sprint_platform.places import database_path

# Longer than the longest load or dbt step that was measured; a wait beyond it is a stuck holder.
TIMEOUT_SECONDS = 1800.0


class LeaseError(SprintError):
    """The lease was not free in time. The message is one line that names the holder."""


def lock_path() -> Path:
    """The file whose lock is the lease."""
    return database_path().with_name(database_path().name + ".lock")


@contextmanager
def lease(holder: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[None]:
    """Holds the lease while the block runs. ``holder`` says who it is, for whoever waits.

    Raises LeaseError after ``timeout_seconds``. Not re-entrant: load, then close, then run dbt.
    """
    path = lock_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout_seconds, poll_interval=0.05)
    except Timeout as error:
        raise LeaseError(
            f"the warehouse {database_path()} is in use by"
            f" {describe_holder() or 'another process'}; waited {timeout_seconds:g} s:"
            " wait for that run, or stop it if it hangs"
        ) from error
    told = {
        "holder": holder,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        # beside the lock, because Windows does not let others read a locked file
        temporary = _holder_path().with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(told), encoding="utf-8")
        os.replace(temporary, _holder_path())
        yield
    finally:
        _holder_path().unlink(missing_ok=True)
        lock.release()


def _holder_path() -> Path:
    return lock_path().with_name(lock_path().name + ".holder.json")


def describe_holder() -> str | None:
    """Who holds the lease, in words; None where nobody does (or nobody says)."""
    lock = FileLock(lock_path())
    if lock_path().parent.is_dir():
        try:
            with lock.acquire(timeout=0):
                return None
        except Timeout:
            pass
    try:
        told = json.loads(_holder_path().read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return f"{told['holder']} (process {told['pid']} on {told['host']}, since {told['since']})"
