"""Files of any shape as chunks: what the title's select makes of one file.

The select is a stranger's SQL over a stranger's file. It runs in a process of its own, which opens
that file and no other, has so much address space and so much time, and is ended beyond.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from sprint_platform.core.duckdb_paths import glob_of
from sprint_platform.landing import select_worker
from sprint_platform.landing.chunks import Chunk, Piece
from sprint_platform.landing.columns import choose
from sprint_platform.landing.files import FileRefused, Found, open_file, symlink, unreadable
from sprint_platform.telemetry.contracts import DATASETS

# Of which Python, Arrow and DuckDB take half a GiB before they do anything.
ADDRESS_SPACE = 3 * 2**30
# Processor time: neither a busy machine nor a slow reader of the rows costs any. It has two.
SECONDS, SECONDS_PER_MIB = 120, 2
# What computes nothing is ended when the rows were awaited for so many times longer.
PATIENCE = 5
# A file that grows beyond both is a mistake in the select, such as a join of everything.
MOST_BYTES, MOST_FOLD = 2**30, 200


def select_pieces(found: Found, _: set[str]) -> Iterator[Piece]:
    """The rows of the select over the file, in batches. Raises FileRefused."""
    with open_file(found.path) as file:
        was = os.fstat(file.fileno())
        worker = _Worker(found)
        refusal: FileRefused | None
        try:
            worker.ask()
            yield from _pieces(found, worker)
            refusal = worker.refusal()
        except FileRefused as error:
            refusal = error
        except (pa.ArrowException, OSError) as error:
            # a process that ends within a batch leaves half of it
            refusal = worker.refusal() or unreadable(error)
        finally:
            worker.end()
        # before any other line: that may quote what was read
        _refuse_replaced(found.path, was)
        if refusal:
            raise refusal


class _Worker:
    """The process that runs the select over one file."""

    def __init__(self, found: Found) -> None:
        self._seconds = SECONDS + SECONDS_PER_MIB * (found.size // 2**20)
        self._patience: float = PATIENCE * self._seconds
        self._hung = threading.Event()
        path = found.path.absolute()
        self._asked = {
            "path": str(path), "pattern": glob_of(path), "select": found.select,
            "bytes": ADDRESS_SPACE, "seconds": self._seconds,
        }  # fmt: skip
        self._process = subprocess.Popen(
            # isolated: neither the environment nor the working directory has a say
            [sys.executable, "-I", str(Path(select_worker.__file__))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={},
        )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._in, self.out, self._error = (
            self._process.stdin, self._process.stdout, self._process.stderr,
        )  # fmt: skip

    def ask(self) -> None:
        """Lets the process begin. Raises OSError where it has ended."""
        self._in.write(json.dumps(self._asked).encode())
        self._in.close()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Ends the process when it is awaited for too long, in all of these blocks together."""
        timer = threading.Timer(self._patience, self._give_up)
        began = time.monotonic()
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._patience -= time.monotonic() - began

    def _give_up(self) -> None:
        self._hung.set()
        self._process.kill()

    def refusal(self) -> FileRefused | None:
        """Waits for the end of the process; why it failed, or None."""
        with self.awaited():
            said = self._error.read().decode("utf-8", "replace")
            code = self._process.wait()
        if not code:
            return None
        why = (said.strip().splitlines() or [""])[-1][:300]
        by = signal.Signals(-code).name if code < 0 else ""
        if self._hung.is_set():
            seconds = PATIENCE * self._seconds
            why = f"its select gave no rows for {seconds} s, and was ended"
        elif by == "SIGXCPU":
            why = f"its select took {self._seconds} s of processor time, and was ended"
        elif by == "SIGKILL":
            why = "its select was ended by SIGKILL, as the system does where memory is scarce"
        elif why == "OutOfMemory" or "bad_alloc" in why or by == "SIGABRT":
            why = f"its select needs more than {ADDRESS_SPACE / 2**30:g} GiB of memory"
        elif by:
            why = f"its select was ended by {by}" + (f": {why}" if why else "")
        else:
            return FileRefused("select_failed", why)
        return FileRefused("select_failed", why, passing=True)

    def end(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._in, self.out, self._error):
            stream.close()


def _refuse_replaced(path: Path, was: os.stat_result) -> None:
    """Refuses the file where its path, by which the process opened it, leads to another one now, or
    did meanwhile: renaming a file, and changing it, sets its change time."""
    try:
        now = os.lstat(path)
    except OSError as error:
        raise unreadable(error) from error
    if stat.S_ISLNK(now.st_mode):
        raise symlink()
    if _identity(now) != _identity(was):
        raise FileRefused("unreadable", "it was replaced while it was read", passing=True)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip


def _pieces(found: Found, worker: _Worker) -> Iterator[Piece]:
    with worker.awaited():
        reader = pa.ipc.open_stream(worker.out)
    names = reader.schema.names
    chosen = choose(found.mapping, found.dataset, names)
    _refuse_unclear_times(found, reader.schema, chosen)
    wanted = sorted(set(chosen.values()))
    unread = tuple(name for index, name in enumerate(names) if index not in wanted)
    yield _piece(found.dataset, reader.schema.empty_table().select(wanted), unread)
    size = 0
    while True:
        with worker.awaited():
            batch = next(reader, None)
        if batch is None:
            return
        size += batch.nbytes
        if size > max(MOST_BYTES, MOST_FOLD * found.size):
            raise FileRefused(
                "decompression_bomb",
                f"its {found.size:,} bytes are more than {size:,} after landing.read."
                f"{found.dataset}: look for a join or an unnest of too much",
            )
        yield _piece(found.dataset, pa.Table.from_batches([batch]).select(wanted), unread)


def _refuse_unclear_times(found: Found, schema: pa.Schema, chosen: Mapping[str, int]) -> None:
    """Raises FileRefused where a time has lost its zone: of a text in UTC, with ``Z`` or an offset,
    DuckDB's readers of JSON and CSV make the same timestamp as of a local one."""
    zone = found.mapping.time_zone
    if zone == "UTC" or found.path.name.lower().endswith(".parquet"):
        return
    for column in DATASETS[found.dataset].columns:
        if column.type != "timestamp" or column.name not in chosen:
            continue
        field = schema.field(chosen[column.name])
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            raise FileRefused(
                "unclear_time",
                f"{field.name} of landing.read.{found.dataset} is a timestamp without a zone, which"
                f" DuckDB makes of texts in UTC, too: write {field.name}::timestamptz where it is"
                f" UTC, {field.name}::varchar where it is in {zone}",
            )


def _piece(dataset: str, table: pa.Table, unread: tuple[str, ...]) -> Piece:
    rows = np.arange(table.num_rows)
    return Piece(lambda: [Chunk(dataset, table, rows, table.num_rows, (), unread)])
