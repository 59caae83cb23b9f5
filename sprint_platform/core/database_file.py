"""Waiting for a DuckDB file that another program has open: a shell, or a BI tool.

Such a program takes none of our locks, and DuckDB refuses to open its file at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import duckdb

from sprint_platform.core.locks import wait_until

T = TypeVar("T")

# Long enough for a person to close a shell; the waiting process makes others wait.
DEADLINE_SECONDS = 120.0
# How DuckDB refuses: "… Conflicting lock is held in /usr/bin/duckdb (PID 4711) by user ...", where
# it knows.
_REFUSED = "Could not set lock on file"
_CULPRIT = re.compile(r"lock is held in (?:(\S.*?) )?\((PID \d+)\)")


def when_free(path: Path, opened: Callable[[], T], instead: str) -> T:
    """The result of ``opened``, which opens the file, once no other program has it open.

    A wait is logged, as for a lock. Raises LockError after ``DEADLINE_SECONDS``, in one line that
    names the other program and ends with what to do ``instead`` of opening the file there; any
    other error of DuckDB's is raised at once.
    """
    refusal = ""

    def attempt() -> T | None:
        nonlocal refusal
        try:
            return opened()
        except duckdb.IOException as error:
            if _REFUSED not in str(error):
                raise
            refusal = str(error)
            return None

    def state() -> str:
        return f"{path} is open in {_described(refusal)}, which shuts out everybody else"

    return wait_until(attempt, state, DEADLINE_SECONDS, f"close it there, {instead}")


def opened_by(path: Path) -> str | None:
    """The program that has the file open now, in words; None where no other process has. The file
    stays as it is. This process must not have it open: DuckDB's lock on it would be lost."""
    if not path.exists():
        return None
    import fcntl

    with path.open("rb+") as file:
        try:
            # DuckDB's own kind of lock, and not DuckDB: where nobody is there, that would write
            # what a killed process left in its log
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            pass
    try:
        duckdb.connect(str(path)).close()
    except duckdb.IOException as error:
        if _REFUSED not in str(error):
            raise
        return _described(str(error))
    return None


def _described(refusal: str) -> str:
    culprit = _CULPRIT.search(refusal)
    if culprit is None:
        return "another program"
    program, process = culprit.groups()
    return f"another program ({', '.join(filter(None, (program, process)))})"
