"""Commands as forks of a process that has everything imported: a command begins at once.

The process itself opens no database and starts no thread: a fork has neither.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
# Nothing here takes a minute on a free machine.
PATIENCE = 300.0
HANGS = 75
# A task that raised.
BUG = 70
PR_SET_PDEATHSIG = 1
# What a command imports whatever it does.
MODULES = ("dbt.cli.main", "sprint_platform.cli.app", "sprint_platform.orchestration.runs")


@dataclass(frozen=True)
class Ended:
    """How a fork ended: its exit code (-9 after SIGKILL), what it printed, and the seconds."""

    code: int
    output: str
    seconds: float


def import_everything(modules: Iterable[str]) -> None:
    """Imports the modules, whose threads are allocators' only (a fork starts them anew). Raises
    RuntimeError where one started a thread of Python's."""
    from sprint_platform.cli import prepare_environment

    prepare_environment()
    gc.set_threshold(100_000, 50, 100)
    for module in modules:
        # a fork that ran a command names what it loaded: some of it cannot be imported by its name
        with suppress(ImportError, ValueError):
            import_module(module)
    _no_threads()


def parse_with_dbt(target: Path) -> None:
    """Has dbt parse the project in this process: what dbt makes of its own classes when it is first
    called takes seconds, and forks have it then. ``target`` is a target folder for that."""
    from sprint_platform.places import dbt_project_dir
    from sprint_platform.transform.dbt_runner import dbt_result, project_environment

    folders = ("--project-dir", str(dbt_project_dir()), "--target-path", str(target))
    arguments = ["--quiet", "parse", *folders, "--log-path", str(target)]
    result = dbt_result(arguments, project_environment())
    if not result.success:
        raise RuntimeError(f"dbt cannot parse: {result.exception}")
    _no_threads()


def _no_threads() -> None:
    gc.freeze()
    if threading.active_count() != 1:
        raise RuntimeError(f"the imports started {threading.enumerate()}: a fork would lack them")


def sprint(*arguments: str) -> Callable[[], None]:
    """The command, as a task of a fork."""

    def run() -> None:
        from sprint_platform.cli import main

        sys.argv[:] = ["sprint", *arguments]
        main()

    return run


def forked(
    task: Callable[[], object],
    output: Path,
    *,
    kill_after: float | None = None,
    patience: float = PATIENCE,
) -> Ended:
    """Runs the task in a fork, whose output goes to the file, and waits for its end. It is killed
    with all that it started after ``kill_after`` seconds, where that is given. One that outlasts
    ``patience`` is killed too, and ends with the code ``HANGS``."""
    began = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _become(task, output)
    # here too: the fork may not have got so far when it is to be killed
    with suppress(OSError):
        os.setpgid(pid, pid)
    hangs = False
    descriptor = os.pidfd_open(pid)
    try:
        limit = patience if kill_after is None else kill_after
        if not select.select([descriptor], [], [], limit)[0]:
            hangs = kill_after is None
    finally:
        # what it started, too
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
    code = HANGS if hangs else os.waitstatus_to_exitcode(status)
    return Ended(
        code, output.read_text(encoding="utf-8", errors="replace"), time.monotonic() - began
    )


def answer_of(task: Callable[[], T], scratch: Path) -> T:
    """The result of the task, which runs in a fork. Raises RuntimeError with the fork's output
    where it fails."""
    answer = scratch / "answer"
    answer.unlink(missing_ok=True)

    def run() -> None:
        answer.write_bytes(pickle.dumps(task()))

    ended = forked(run, scratch / "answer.log")
    if ended.code:
        raise RuntimeError(f"exit code {ended.code}: {ended.output}")
    return pickle.loads(answer.read_bytes())


def _become(task: Callable[[], object], output: Path) -> None:
    """Does not return: the frames above are the parent's."""
    code: object = BUG
    try:
        os.setpgid(0, 0)
        # not a moment longer than the process that waits for it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(
            output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666
        )  # fmt: skip
        for source, target in ((nothing, 0), (written, 1), (written, 2)):
            os.dup2(source, target)
        try:
            task()
            code = 0
        except SystemExit as end:
            code = 0 if end.code is None else end.code
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        with suppress(Exception):
            atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code if isinstance(code, int) else BUG)
