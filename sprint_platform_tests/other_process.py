"""Another process that holds something which this one wants, until it is asked to let go."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sprint_platform.core.locks import Lock
from sprint_platform.places import project_root

HOLDS = """
import sys
from pathlib import Path
from sprint_platform.core.locks import Kind, Lock, hold
kind, path, holder = sys.argv[1:]
with hold(Lock(Kind[kind], Path(path), "it"), holder, 0):
    print("held", flush=True)
    sys.stdin.readline()
"""
OPENS = """
import sys
import duckdb
path, read_only = sys.argv[1:]
with duckdb.connect(path, read_only=read_only == "True"):
    print("open", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held_elsewhere(lock: Lock, holder: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock and says that it is ``holder``, until the block ends or
    ``let_go``."""
    with _running(HOLDS, lock.kind.name, str(lock.path), holder) as process:
        yield process


@contextmanager
def opened_elsewhere(path: Path, *, read_only: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process that has the DuckDB file open and takes no lock of ours, as a shell does."""
    with _running(OPENS, str(path), str(read_only)) as process:
        yield process


@contextmanager
def waiting_lines(notify: Callable[[str], object] = print) -> Iterator[list[str]]:
    """The lines that waiting logs in this process; ``notify`` is called with each."""
    lines: list[str] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            notify(lines[-1])

    recorder = Recorder()
    logger = logging.getLogger("sprint_platform")
    logger.addHandler(recorder)
    try:
        yield lines
    finally:
        logger.removeHandler(recorder)


def let_go(process: subprocess.Popen[str]) -> None:
    """Asks the process to end; does not wait for it."""
    assert process.stdin is not None
    process.stdin.write("enough\n")
    process.stdin.flush()


@contextmanager
def _running(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=project_root(),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() in ("held\n", "open\n")
            yield process
        finally:
            process.kill()


def dead_process() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        return process.pid
