"""A file call of a command fails, beneath DuckDB too; a disk is full; a folder is read-only: the
command says so in one line, nothing is lost, and the next run mends."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sprint_platform_tests.chaos import check, forks, scenarios, sweeps
from sprint_platform_tests.chaos.file_calls import Point
from sprint_platform_tests.chaos.place import Place
from sprint_platform_tests.chaos.report import Report
from sprint_platform_tests.chaos.sweep import Case, Disturbed, Prepared, at_a_point

# How each call fails; + is a disk that is full from then on.
ERRORS = {
    "open": ("EACCES", "EIO"),
    "write": ("ENOSPC+", "ENOSPC", "EIO"),
    "rename": ("EACCES", "EIO"),
    "unlink": ("EACCES",),
    "fsync": ("EIO",),
    "truncate": ("ENOSPC+", "EIO"),
    "mkdir": ("EACCES", "ENOSPC+"),
    "read": ("EIO",),
}
# Of the reads and of the writes on one kind of file; the other calls fail one and all.
MANY_CALLS = 2
# Shares of the space that an undisturbed run takes more, of which a disk has no more.
SPACES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9)
READ_ONLY = ("data", "data/raw", "data/published", "data/sprint.duckdb", "data/landed", "home")
NOBODY = 65534
CAP_DAC_READ_SEARCH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def plan(prepared: Sequence[Prepared], seed: int) -> Iterator[Case]:
    """Full disks and read-only folders, then every call with each of its errors, of cheap scenarios
    first: one of each kind of call, file, error and scenario at a time."""
    for one in prepared:
        name = one.scenario.name
        if os.geteuid() == 0:
            yield from (Case(name, "full", moment=space) for space in SPACES)
        yield from (
            Case(name, f"read-only {folder}") for folder in READ_ONLY if folder in one.folders
        )
    cheap: list[list[Case]] = []
    others: list[list[Case]] = []
    for one in prepared:
        name = one.scenario.name
        for (call, files), numbers in sorted(one.calls.items()):
            most = MANY_CALLS if call in ("read", "write") else len(numbers)
            for error in ERRORS[call]:
                order = random.Random(f"{seed} {name} {call} {files} {error}")
                shuffled = order.sample(numbers, min(most, len(numbers)))
                cases = [Case(name, error, Point(call, files, n)) for n in shuffled]
                (cheap if one.scenario.cheap else others).append(cases)
    for strata in (cheap, others):
        for turn in range(max((len(cases) for cases in strata), default=0)):
            cases = [of[turn] for of in strata if turn < len(of)]
            random.Random(f"{seed} {turn}").shuffle(cases)
            yield from cases


def disturb(place: Place, prepared: Prepared, case: Case) -> Disturbed:
    """Runs the scenario with the case's error, which is mended when this returns."""
    if case.point is not None:
        return at_a_point(place, prepared, case.point, case.how)
    if case.how == "full":
        return _on_a_full_disk(place, prepared, case.moment)
    return _in_a_read_only_folder(place, prepared, case.how.removeprefix("read-only "))


def judge(prepared: Prepared, disturbed: Disturbed, now: check.Found) -> list[str]:
    """What is wrong with how the command ended: with an error it says so in one line; without, the
    error was no matter, and everything is there."""
    ended = disturbed.ended
    if ended.code == forks.HANGS:
        return ["it hangs"]
    if ended.code < 0:
        return [f"it dies of signal {-ended.code}"]
    lines = [line for line in ended.output.splitlines() if line.strip()]
    if any(line.startswith(("Traceback (most", '  File "')) for line in lines):
        return [f"a stack trace: {lines[-1].strip()[:160]}"]
    if ended.code == 0:
        unlike = check.differences(prepared.states[-1], now)
        return [f"it ends with 0, and {line}" for line in unlike[:3]]
    if not lines or not lines[-1].startswith("error: "):
        return [f"the last line is not the error: {lines[-1] if lines else 'there is none'}"]
    return []


def _on_a_full_disk(place: Place, prepared: Prepared, share: float) -> Disturbed:
    """In a file system of its own, which has this share of the space that the run needs."""
    before, after = _bytes(place.work), prepared.bytes
    room = before + int(share * max(after - before, 1 << 20))
    moved = place.folder / "moved"
    place.work.rename(moved)
    place.work.mkdir()
    try:
        _mount(f"size={room + (64 << 10)}", place.work)
        shutil.copytree(moved, place.work, dirs_exist_ok=True, symlinks=True)
        ended = forks.forked(scenarios.run(prepared.scenario), place.scratch / "disturbed.log")
        _copy_back(place.work, moved)
    finally:
        subprocess.run(["umount", str(place.work)], check=False)
        place.work.rmdir()
        moved.rename(place.work)
    return Disturbed(ended, "a full disk")


def _in_a_read_only_folder(place: Place, prepared: Prepared, folder: str) -> Disturbed:
    """As another user, who owns all but the folder (or file); as root one may write anything."""
    root = os.geteuid() == 0
    closed = [place.work / folder, *(place.work / folder).rglob("*")]
    if root:
        _chown(place.work, NOBODY)
        for path in closed:
            os.chown(path, 0, 0)
    for path in closed:
        path.chmod(0o555 if path.is_dir() else 0o444)
    task = scenarios.run(prepared.scenario)
    output = place.scratch / "disturbed.log"
    ended = forks.forked(_as_nobody(task) if root else task, output)
    for path in closed:
        path.chmod(0o755 if path.is_dir() else 0o644)
    if root:
        _chown(place.work, 0)
    return Disturbed(ended, f"a read-only {folder}")


def _as_nobody(task: Callable[[], object]) -> Callable[[], None]:
    """The task as a user who may read everything (Python may lie in somebody's home), and write
    what is his."""

    def run() -> None:
        keep_capabilities, version = 8, 0x20080522
        _libc.prctl(keep_capabilities, 1, 0, 0, 0)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        header = (ctypes.c_uint32 * 2)(version, 0)
        may = 1 << CAP_DAC_READ_SEARCH
        if _libc.capset(header, (ctypes.c_uint32 * 6)(may, may, 0, 0, 0, 0)):
            raise OSError(ctypes.get_errno(), "capset")
        task()

    return run


def _chown(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def _mount(options: str, folder: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def _copy_back(source: Path, target: Path) -> None:
    shutil.rmtree(target)
    shutil.copytree(source, target, symlinks=True)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))


def run(seed: int, minutes: float, report: Report) -> int:
    """Sweeps for these minutes, and reports; the number of kinds of findings."""
    report(
        "One file call of each command failed (ENOSPC, EIO, EACCES), or from one write on the disk"
        " was full: an open, a rename, an unlink, an fsync, a truncation, a new folder, and"
        f" {MANY_CALLS} of the reads and writes on each kind of file. A preloaded library does"
        " that, so that calls of DuckDB, SQLite and Arrow fail too (libfiu's `fiu-run` does the"
        " same; this needs no package, and counts by file). Further, a file system with too little"
        " space, and read-only folders as another user."
    )
    report(
        "Then: the exit code is not 0, and the last line says what is wrong, without a stack trace"
        " (where it is 0, the error was no matter, and everything is there); every partition holds"
        " the old or the new rows, as after a kill; the next run ends with the content of an"
        " undisturbed history, and leaves no file more."
    )
    return sweeps.swept(seed, minutes, report, "Failing")
