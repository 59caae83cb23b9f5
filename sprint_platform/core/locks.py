"""Locks between processes: their holders, how long a wait may last, and the order of locks.

A lock is the operating system's advisory lock on a file, so the system frees it when its holder
dies (killed, out of memory, power cut). While a lock is held, a small JSON file beside it names the
holder; it is read only while the lock is not free, and ignored when its process is gone.

Several locks are taken in this order:

1. ``TITLE``: one command at a time lands and builds a title. ``data/raw/<title>/.building.lock``
2. ``LANDING``: a title's register is written, or copied. ``data/landed/<title>/landing.lock``
3. ``BATCH``: a folder of the event log, from its first file until it is loaded. ``.lock`` in it
4. ``PARTITION``: a partition's files are written. ``.lock`` in its folder
5. ``WAREHOUSE``: the lease, the right to open the one DuckDB file. ``data/sprint.duckdb.lock``
6. ``DBT_MANIFEST``: dbt's project is parsed for the graph. ``data/dbt/graph/.lock``

Locks of one kind are taken by the length of their path, then by the path: numbered folders go by
their number. A thread that takes an earlier lock than one that it holds gets a LockOrderError at
once, also where no other process wants either: it is a bug, which would otherwise show only
sometimes, as two processes that wait for each other.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from sprint_platform.core.errors import SprintError

T = TypeVar("T")


class Kind(IntEnum):
    """What a lock is for; the numbers are the order in which locks are taken."""

    TITLE = 1
    LANDING = 2
    BATCH = 3
    PARTITION = 4
    SPARK = 5
    WAREHOUSE = 6
    DBT_MANIFEST = 7


# Longer than the longest load or dbt step that was measured: after that the holder is stuck.
# The holder of a landing or a batch may wait for the warehouse first, and then use it for a while.
DEADLINE_SECONDS = {
    # a second command would repeat what the first one does; a sensor only tries
    Kind.TITLE: 2.0,
    Kind.LANDING: 3600.0,
    Kind.BATCH: 3600.0,
    Kind.PARTITION: 1800.0,
    # the longest step of a large title
    Kind.SPARK: 4 * 3600.0,
    Kind.WAREHOUSE: 1800.0,
    # a parse takes seconds
    Kind.DBT_MANIFEST: 300.0,
}
# When a wait is logged: first, and from then on at intervals.
FIRST_LINE_SECONDS = 2.0
NEXT_LINE_SECONDS = 30.0
# Seconds between two attempts: at first, and after some.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 0.2

# The command line prints these lines to stderr, Dagster writes them to the run's log.
_log = logging.getLogger(__name__)
_of_thread = threading.local()


class LockError(SprintError):
    """A lock or a file was not free in time. The message is one line that names the holder."""


class LockOrderError(RuntimeError):
    """A lock was taken out of order: a bug."""


@dataclass(frozen=True)
class Lock:
    """A lock file; ``what`` names what it locks, as in "<what> is in use by"."""

    kind: Kind
    path: Path
    what: str

    @property
    def holder_path(self) -> Path:
        """The file that names the holder: beside the lock, because Windows does not let other
        processes read a locked file."""
        return self.path.with_name(self.path.name + ".holder.json")

    @property
    def place(self) -> tuple[int, int, str]:
        """The lock's place in the order."""
        return (self.kind, len(str(self.path)), str(self.path))


@contextmanager
def hold(lock: Lock, holder: str, seconds: float | None = None) -> Iterator[None]:
    """Holds the lock while the block runs. ``holder`` names the holder to processes that wait.

    Waits for at most ``seconds``, or the deadline of the lock's kind, and then raises LockError.
    Raises LockOrderError where this thread holds this lock, or one that goes after it.
    """
    held = _held_by_this_thread()
    _check_order(lock, held)
    lock.path.parent.mkdir(parents=True, exist_ok=True)
    # not thread-local: another thread may close a generator and so end the block
    file = FileLock(lock.path, thread_local=False)
    wait_until(
        lambda: _taken(file) or None,
        lambda: f"{lock.what} is in use by {_described(lock)}",
        DEADLINE_SECONDS[lock.kind] if seconds is None else seconds,
        "wait for it, or stop it if it hangs",
    )
    held.append(lock)
    try:
        _write_holder(lock, holder)
        yield
    finally:
        held.remove(lock)
        lock.holder_path.unlink(missing_ok=True)
        file.release()


def holder_of(lock: Lock) -> str | None:
    """The lock's holder, in words; None where it is free."""
    if not lock.path.exists():
        return None
    file = FileLock(lock.path, thread_local=False)
    if _taken(file):
        file.release()
        return None
    return _described(lock)


def wait_until(
    attempt: Callable[[], T | None], state: Callable[[], str], seconds: float, remedy: str
) -> T:
    """The first result of ``attempt`` that is not None; it is called until it returns one.

    ``state`` returns what is waited for and who has it ("... is in use by ..."). It is logged after
    ``FIRST_LINE_SECONDS`` and then at intervals. Raises LockError after ``seconds``, with ``state``
    and the ``remedy``.
    """
    began = time.monotonic()
    pause, next_line = _SHORTEST_PAUSE, FIRST_LINE_SECONDS
    while (result := attempt()) is None:
        waited = time.monotonic() - began
        if waited >= seconds:
            raise LockError(f"{state()}; waited {seconds:g} s: {remedy}")
        if waited >= next_line:
            _log.warning("waiting: %s; %.0f s so far, at most %g s", state(), waited, seconds)
            next_line += NEXT_LINE_SECONDS
        time.sleep(min(pause, seconds - waited))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return result


def _taken(file: FileLock) -> bool:
    try:
        file.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _held_by_this_thread() -> list[Lock]:
    if not hasattr(_of_thread, "held"):
        _of_thread.held = []
    return _of_thread.held


def _check_order(lock: Lock, held: list[Lock]) -> None:
    for other in held:
        if other.path == lock.path:
            raise LockOrderError(f"{lock.what} is held by this thread already ({lock.path})")
        if other.place > lock.place:
            raise LockOrderError(
                f"{lock.what} goes before {other.what}, which this thread holds already: take"
                f" {lock.path} first"
            )


def _write_holder(lock: Lock, holder: str) -> None:
    record = {
        "holder": holder,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    temporary = lock.holder_path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    os.replace(temporary, lock.holder_path)


def _described(lock: Lock) -> str:
    """The holder that the file names, for a lock that is not free. The file of a dead process is
    ignored: another process holds the lock now, and is about to write its own."""
    try:
        record = json.loads(lock.holder_path.read_text(encoding="utf-8"))
        holder, pid, host, since = (record[key] for key in ("holder", "pid", "host", "since"))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return "another process"
    if host == socket.gethostname() and not is_alive(pid):
        return "another process"
    return f"{holder} (process {pid} on {host}, since {since})"


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has the number; True where that cannot be known."""
    if os.name != "posix":
        return True  # elsewhere signal 0 is no test
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
