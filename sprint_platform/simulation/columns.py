"""Arrow columns straight from numpy memory: no copy, no Python object per value."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.telemetry.contracts import DATASETS

MICROSECONDS = 1_000_000


def uuid_column(
    values: npt.NDArray[np.void], known: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """16-byte values, shape (n,), as a flat Arrow uuid column; null where they are not ``known``
    (None: all are)."""
    bits = None if known is None else pa.array(known).buffers()[1]
    storage = pa.Array.from_buffers(pa.binary(16), len(values), [bits, pa.py_buffer(values)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def flag_column(values: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]) -> pa.Array:
    """Flags, null where they are not ``known``."""
    return pa.array(values, pa.bool_(), mask=~known)


def timestamp_column(microseconds: npt.NDArray[np.int64]) -> pa.Array:
    """UTC timestamps from microseconds since 1970."""
    return pa.Array.from_buffers(
        pa.timestamp("us"), len(microseconds), [None, pa.py_buffer(microseconds)]
    )


def decimal_column(hundredths: npt.NDArray[np.int32], digits: int) -> pa.Array:
    """DECIMAL(digits, 2) from integer hundredths."""
    return pa.Array.from_buffers(
        pa.decimal32(digits, 2), len(hundredths), [None, pa.py_buffer(hundredths)]
    )


def word_column(words: tuple[str, ...] | list[str], index: npt.NDArray[np.integer]) -> pa.Array:
    """The words at the indices, as plain strings."""
    return pa.array(words, pa.string()).take(pa.array(index))


def midnight(day: date) -> int:
    """The day's first moment in microseconds since 1970, UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * (MICROSECONDS)


def table_of(dataset: str, columns: list[pa.Array]) -> pa.Table:
    """A table with the contract's schema; its columns in the contract's order."""
    return pa.Table.from_arrays(columns, schema=DATASETS[dataset].arrow_schema)
