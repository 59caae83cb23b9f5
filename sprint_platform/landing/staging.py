"""Staged records: those of one landed file that are valid, before they are admitted to days.

``data/landed/<title>/staged/<key>-<dataset>.arrow`` holds the valid records of one file in batches
of one UTC day each; a batch knows its time span, so that admission reads what it needs of a day,
one slice of time after the other, however large the file was.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.landing.register import landed_dir
from sprint_platform.telemetry.contracts import DATASETS

# Products have no day: theirs is the epoch's.
EPOCH = date(1970, 1, 1)
MICROSECONDS_A_DAY = 86_400_000_000
MICROSECONDS_AN_HOUR = 3_600_000_000
# Heartbeats that come session by session, or in no order, are sorted into hours where a chunk is
# large: or every slice of a day would read all of it.
ROWS_WORTH_SORTING = 131_072
MOST_OPEN_FILES = 64

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """One batch of a staged file; times are microseconds since 1970, inclusive."""

    number: int
    day: date
    rows: int
    first_at: int
    last_at: int


def staged_path(title: str, key: str, dataset: str) -> Path:
    """The file with the staged records of the landed file with that key."""
    return landed_dir(title) / "staged" / f"{key}-{dataset}.arrow"


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - EPOCH).days


def times_of(records: pa.Table | pa.RecordBatch, dataset: str) -> Integers:
    """The records' own times in microseconds since 1970."""
    column = DATASETS[dataset].time_column
    if column is None:
        return np.zeros(records.num_rows, np.int64)
    return np.asarray(records[column].cast(pa.int64()))


class StagedWriter:
    """Writes one file's valid records of one dataset; a context manager, which removes the file
    when its block fails."""

    def __init__(self, path: Path, schema: pa.Schema, dataset: str) -> None:
        self.path, self.dataset = path, dataset
        self.batches: list[Batch] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_suffix(".tmp")
        # lz4: 18 bytes a heartbeat of 62, at 25 million rows a second; zstd halves that again, and
        # the speed too
        self._file = pa.OSFile(str(self._temporary), "wb")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_file(self._file, schema, options=options)

    def write(self, records: pa.Table) -> list[pa.RecordBatch]:
        """Adds records in the file's order; returns them as batches of one day each."""
        written = []
        for day, batch, times in _by_day(records, self.dataset):
            self._writer.write_batch(batch)
            first, last = int(times.min()), int(times.max())
            self.batches.append(Batch(len(self.batches), day, batch.num_rows, first, last))
            written.append(batch)
        return written

    def __enter__(self) -> StagedWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        try:
            self._writer.close()
        finally:
            self._file.close()
        if kind is None and self.batches:
            # the register's commit is durable: the files that it names must be, too
            with self._temporary.open("rb") as written:
                os.fsync(written.fileno())
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)


def _by_day(records: pa.Table, dataset: str) -> Iterator[tuple[date, pa.RecordBatch, Integers]]:
    """The records cut into days, and large chunks of wide days into hours, each in their order."""
    if not records.num_rows:
        return
    batch = records.combine_chunks().to_batches()[0]
    times = times_of(batch, dataset)
    # the usual file is in the order of time, and nothing moves
    slots = times // (
        MICROSECONDS_AN_HOUR if len(times) >= ROWS_WORTH_SORTING else MICROSECONDS_A_DAY
    )
    if (np.diff(slots) < 0).any():
        order = np.argsort(slots, kind="stable")
        batch, times = batch.take(pa.array(order)), times[order]
    days = times // MICROSECONDS_A_DAY
    # an hour's worth of rows is a batch where that is many rows; a day's otherwise
    hours = times // MICROSECONDS_AN_HOUR
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(times)]
    for begin, end in pairwise(edges):
        cuts = [begin]
        if end - begin >= ROWS_WORTH_SORTING:
            inner = np.flatnonzero(np.diff(hours[begin:end])) + 1 + begin
            for cut in inner.tolist():
                if cut - cuts[-1] >= ROWS_WORTH_SORTING // 4:
                    cuts.append(cut)
        cuts.append(end)
        day = EPOCH + timedelta(days=int(days[begin]))
        for low, high in pairwise(cuts):
            if high > low:
                yield day, batch.slice(low, high - low), times[low:high]


class StagedFiles:
    """Staged files, of which the latest stay open while batches are read; a context manager. A
    file's list of batches is read once, not once a batch."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, tuple[pa.OSFile, pa.RecordBatchFileReader]] = OrderedDict()

    def batch(self, path: Path, number: int) -> pa.RecordBatch:
        if path not in self._open:
            if len(self._open) >= MOST_OPEN_FILES:
                self._open.popitem(last=False)[1][0].close()
            file = pa.OSFile(str(path), "rb")
            self._open[path] = file, pa.ipc.open_file(file)
        return self._open[path][1].get_batch(number)

    def __enter__(self) -> StagedFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for file, _ in self._open.values():
            file.close()


def sweep_staged(con: duckdb.DuckDBPyConnection, title: str) -> None:
    """Removes the staged files of no landed version: replaced, refused, undone, or left by a
    landing that was killed."""
    landed = {row[0] for row in con.execute("select staged_key from files").fetchall()}
    for path in (landed_dir(title) / "staged").glob("*"):
        if path.name.rsplit("-", 1)[0] not in landed:
            path.unlink(missing_ok=True)
