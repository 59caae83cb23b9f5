"""The file calls of a process: listed, or one of them met by a kill or an error.

Python's audit hooks see no call of DuckDB, Arrow or SQLite; a library that is preloaded sees them
all (``file_calls.c``, compiled by the machine's ``cc``). It does nothing until a process arms it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("file_calls.c")
# Kinds of calls, and the actions, by the numbers that the library knows them by.
CALLS = {
    "open": 1, "write": 2, "rename": 4, "unlink": 8, "fsync": 16, "truncate": 32, "mkdir": 64,
    "read": 128,
}  # fmt: skip
ACTIONS = {"list": 0, "kill": 1, "tear": 2, "fail": 3, "fail on": 4}
# What a file is for, by a pattern of its path in the folder (* also matches /); the first counts.
FILES = {
    "data/.repair/*": "what a repair makes, before it is put in place",
    "*.compacting*": "what a compaction makes, before it is put in place",
    "data/raw/*/.part-*": "a part that is being written",
    "data/raw/*/part-*": "a part of a partition",
    "data/raw/*/.manifest-*": "a manifest that is being written",
    "data/raw/*/manifest.json": "a manifest of a partition",
    "data/raw/*/.lock*": "a partition's lock",
    "data/raw/*": "anything else of partitions",
    "data/landing/*": "a delivered file",
    "data/landed/*/landing.duckdb.wal": "a landing register's log, where it commits",
    "data/landed/*/landing.duckdb*": "a landing's register",
    "data/landed/*/staged/*": "staged records",
    "data/landed/*": "anything else of landings",
    "data/eventlog/*": "a batch's files",
    "data/sprint.duckdb.wal": "the database's log, where it commits",
    "data/sprint.duckdb.lock*": "the lease",
    "data/sprint.duckdb*": "the database",
    "data/warehouse*": "what names the database",
    "data/.warehouse*": "what names the database, being written",
    "data/tmp*": "DuckDB's temporary files",
    "data/published/.*": "the published database, being written",
    "data/published/sprint.duckdb*": "the published database",
    "data/published/*/.ledger*": "a published ledger that is being written",
    "data/published/*/ledger.parquet": "a published ledger",
    "data/published/*/*/.*": "a published file that is being written",
    "data/published/*": "a published file",
    "data/dbt/*": "what dbt parses and logs",
    "data/*": "anything else in the data folder",
    "home/*": "Dagster's history",
    "*": "anything else",
}
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, order=True)
class Point:
    """The n-th call of a kind on files of a pattern."""

    call: str
    files: str
    nth: int

    def __str__(self) -> str:
        return f"{self.call} {self.files} {self.nth}"


def why_not() -> str | None:
    """Why this machine cannot preload the library; None where it can."""
    if sys.platform != "linux":
        return "file calls are counted on Linux only"
    if shutil.which("cc") is None:
        return "file calls are counted by a library that `cc` compiles, and there is no `cc`"
    return None


def library(folder: Path) -> Path:
    """The compiled library, in the folder; compiled where it is not there yet."""
    source = SOURCE.read_bytes()
    path = folder / f"file_calls-{hashlib.blake2b(source, digest_size=8).hexdigest()}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}")
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-o", str(half), str(SOURCE), "-ldl"], check=True
        )
        half.replace(path)
    return path


def arm(
    root: Path, action: str, log: Path, point: Point | None = None, error: str | None = None,
    calls: Iterable[str] = CALLS,
) -> None:  # fmt: skip
    """From now on this process's calls on files in ``root`` are listed in ``log``, or the one at
    ``point`` meets the action (then the log has a line, too). ``error`` is an errno's name."""
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    # out of the way of the numbers that a program closes by the dozen
    high = fcntl.fcntl(written, fcntl.F_DUPFD_CLOEXEC, 900)
    os.close(written)
    mask = CALLS[point.call] if point else sum(CALLS[call] for call in calls)
    _libc.file_calls_arm(
        os.fsencode(root),
        mask,
        os.fsencode(point.files if point else "*"),
        ctypes.c_long(point.nth if point else 0),
        ACTIONS[action],
        getattr(errno, error) if error else 0,
        high,
    )


def counted(log: Path) -> dict[tuple[str, str], list[int]]:
    """The calls that the log lists, by call and by what their files are for (the pattern): each
    call once, as the ``nth`` of its ``Point``."""
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, str], list[int]] = {}
    for line in log.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, call, path = line.split("\t")
        matching = [pattern for pattern in FILES if _matches(pattern, path)]
        seen.update((call, pattern) for pattern in matching)
        found.setdefault((call, matching[0]), []).append(seen[call, matching[0]])
    return found


def met(log: Path) -> str | None:
    """The call and path at which the action happened; None where it did not."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        what, call, path = line.split("\t")
        if what == "met":
            return f"{call} {path}"
    return None


def _matches(pattern: str, path: str) -> bool:
    return _libc.fnmatch(os.fsencode(pattern), os.fsencode(path), 0) == 0
