"""Locks between processes: who holds one, how long a wait may last, and in which order they go.

A lock is the operating system's advisory lock on a file, so a holder that dies (killed, out of
memory, power cut) frees it without anybody's help. Beside the lock's file lies, while it is held, a
small JSON file that says who holds it; it is only read while the lock is not free, and not believed
of a process that is gone.

Whoever holds one lock and needs another takes them in this order:

1. ``TITLE``: one command at a time lands and builds a title. ``data/raw/<title>/.building.lock``
2. ``LANDING``: a title's register is written, or copied. ``data/landed/<title>/landing.lock``
3. ``BATCH``: a folder of the event log, from its first file until it is loaded. ``.lock`` in it
4. ``PARTITION``: a partition's files are written. ``.lock`` in its folder
5. ``WAREHOUSE``: the lease, the right to open the one DuckDB file. ``data/sprint.duckdb.lock``
6. ``DBT_MANIFEST``: dbt's project is parsed for the graph. ``data/dbt/graph/.lock``

Of two locks of one kind the one with the shorter path goes first, then the alphabet decides: so
numbered folders go by their number. A thread that takes an earlier lock than it holds gets a
LockOrderError at once, also where nobody else wants either: it is a bug, which would show as two
processes that wait for each other only once in a while.
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
    WAREHOUSE = 5
    DBT_MANIFEST = 6


# Longer than the longest load or dbt step that was measured: a wait beyond it is a stuck holder.
# Who holds a landing or a batch may wait for the warehouse first, and then needs it for a while.
DEADLINE_SECONDS = {
    # a second command need not wait to do what the first one does; a sensor only looks
    Kind.TITLE: 2.0,
    Kind.LANDING: 3600.0,
    Kind.BATCH: 3600.0,
    Kind.PARTITION: 1800.0,
    Kind.WAREHOUSE: 1800.0,
    # a parse takes seconds
    Kind.DBT_MANIFEST: 300.0,
}
# When somebody who waits says so: first, and then again and again.
FIRST_LINE_SECONDS = 2.0
NEXT_LINE_SECONDS = 30.0
# From one look to the next: at first, and after some.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 0.2

# The command line writes its lines to stderr, a run of Dagster's into its log.
_log = logging.getLogger(__name__)
_of_thread = threading.local()


class LockError(SprintError):
    """What is waited for was not free in time. The message is one line that names the holder."""


class LockOrderError(RuntimeError):
    """A lock was taken out of order: a bug."""


@dataclass(frozen=True)
class Lock:
    """A lock file; ``what`` is what it keeps others from, as in "<what> is in use by"."""

    kind: Kind
    path: Path
    what: str

    @property
    def holder_path(self) -> Path:
        """The file that says who holds the lock: beside it, because Windows does not let others
        read a locked file."""
        return self.path.with_name(self.path.name + ".holder.json")

    @property
    def place(self) -> tuple[int, int, str]:
        """The lock's place in the order."""
        return (self.kind, len(str(self.path)), str(self.path))


@contextmanager
def hold(lock: Lock, holder: str, seconds: float | None = None) -> Iterator[None]:
    """Holds the lock while the block runs. ``holder`` says who it is, for whoever waits.

    Waits for at most ``seconds``, or as long as the lock's kind says. Raises LockError then, and
    LockOrderError where this thread holds a lock that goes after this one, or this one.
    """
    held = _held_by_this_thread()
    _check_order(lock, held)
    lock.path.parent.mkdir(parents=True, exist_ok=True)
    # whichever thread ends the block: a generator may be closed by another
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
    """Who holds the lock, in words; None where nobody does."""
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
    """Calls ``attempt`` until it returns something, and returns that.

    ``state`` says what is waited for and who has it ("... is in use by ..."). It is logged when the
    wait has lasted some seconds, and then at intervals. Raises LockError after ``seconds``, with
    ``state`` and the ``remedy``.
    """
    began = time.monotonic()
    pause, next_line = _SHORTEST_PAUSE, FIRST_LINE_SECONDS
    while (got := attempt()) is None:
        waited = time.monotonic() - began
        if waited >= seconds:
            raise LockError(f"{state()}; waited {seconds:g} s: {remedy}")
        if waited >= next_line:
            _log.warning("waiting: %s; %.0f s so far, at most %g s", state(), waited, seconds)
            next_line += NEXT_LINE_SECONDS
        time.sleep(min(pause, seconds - waited))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return got


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
    said = {
        "holder": holder,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    temporary = lock.holder_path.with_suffix(".tmp")
    temporary.write_text(json.dumps(said), encoding="utf-8")
    os.replace(temporary, lock.holder_path)


def _described(lock: Lock) -> str:
    """Who says that it holds the lock, which is not free. A file that a dead process left says
    nothing: another holds the lock now, and is about to write its own."""
    try:
        said = json.loads(lock.holder_path.read_text(encoding="utf-8"))
        holder, pid, host, since = (said[key] for key in ("holder", "pid", "host", "since"))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return "another process"
    if host == socket.gethostname() and not _is_alive(pid):
        return "another process"
    return f"{holder} (process {pid} on {host}, since {since})"


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere signal 0 is not a question
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
