"""The logical digest of records: what they say, whatever their order, files or compression.

A digest is (rows, two 64-bit sums of a row hash over the columns' names and values as integers).
Sums do not care about order and add up over chunks; xor would let twins cancel, and the hashes of
polars and DuckDB change between their versions. Its text begins with the version of all this; that
of the contract is noted in the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import STEP, mix_scalar

DIGEST_VERSION = 1

# A column's integers, of whatever width.
Words = npt.NDArray[np.integer]

_MASK = (1 << 64) - 1
_NULL = 0xA0761D6478BD642F  # stands for a missing value; no integer that a contract allows is near
_STRING_BASE = 0x2545F4914F6CDD1D  # odd, so that its powers have inverses modulo 2^64


@dataclass(frozen=True)
class Digest:
    """The digest of some records of one dataset; ``+`` joins the digests of disjoint records, and
    ``-`` takes some out again."""

    rows: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: Digest) -> Digest:
        return Digest(
            self.rows + other.rows,
            (self.first + other.first) & _MASK,
            (self.second + other.second) & _MASK,
        )

    def __sub__(self, other: Digest) -> Digest:
        """The digest of these records without the ``other`` ones, which are among them."""
        return Digest(
            self.rows - other.rows,
            (self.first - other.first) & _MASK,
            (self.second - other.second) & _MASK,
        )

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The digest that a manifest or a ledger has as this text."""
        _, rows, sums = text.split("-")
        return cls(int(rows), int(sums[:16], 16), int(sums[16:], 16))

    def __str__(self) -> str:
        return f"v{DIGEST_VERSION}-{self.rows}-{self.first:016x}{self.second:016x}"


def digest_table(table: pa.Table) -> Digest:
    """The digest of a table's rows over all its columns, by name, in the schema's order."""
    digest = Digest()
    keys = [mix_scalar(*name.encode()) | 1 for name in table.column_names]
    for batch in table.to_batches():
        words = [_words(column) for column in batch.columns]
        digest += _digest_words(keys, words, batch.num_rows)
    return digest


def _digest_words(keys: list[int], columns: list[list[Words]], rows: int) -> Digest:
    first = second = 0
    for start in range(0, rows, STEP):
        step = slice(start, min(start + STEP, rows))
        state = np.zeros(step.stop - start, np.uint64)
        spare = np.empty(step.stop - start, np.uint64)
        for key, column in zip(keys, columns, strict=True):
            for words in column:
                # (state ^ word) * odd key, folded: each column's value meets all those before it
                np.bitwise_xor(state, _unsigned(words[step]), out=state)
                np.multiply(state, np.uint64(key), out=state)
                np.right_shift(state, np.uint64(32), out=spare)
                np.bitwise_xor(state, spare, out=state)
        for constant in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
            np.multiply(state, np.uint64(constant), out=state)
            np.right_shift(state, np.uint64(29), out=spare)
            np.bitwise_xor(state, spare, out=state)
        first += int(state.sum(dtype=np.uint64))
        np.multiply(state, np.uint64(0xD6E8FEB86659FD93), out=state)
        np.right_shift(state, np.uint64(32), out=spare)
        np.bitwise_xor(state, spare, out=state)
        second += int(state.sum(dtype=np.uint64))
    return Digest(rows, first & _MASK, second & _MASK)


def _unsigned(words: Words) -> npt.NDArray[np.uint64]:
    """Integers of any width as 64-bit words, negative ones in two's complement. Here and not for
    whole columns: a step of them stays in the processor's cache."""
    if words.dtype != np.uint64:
        words = words.astype(np.int64, copy=False)
    return words.view(np.uint64)


def _words(column: pa.Array) -> list[Words]:
    """The column as one or two arrays of integers."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = column.storage
        kind = column.type
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16:
        flat = np.frombuffer(column.buffers()[1], "<u8")
        pairs = flat[2 * column.offset : 2 * (column.offset + len(column))].reshape(-1, 2)
        words = [pairs[:, 0], pairs[:, 1]]
    elif pa.types.is_string(kind):
        words = [_string_words(column)]
    elif pa.types.is_boolean(kind):
        words = [np.asarray(column.cast(pa.uint8()).fill_null(0)).astype(np.uint64)]
    else:
        width = {
            "int16": "<i2",
            "int32": "<i4",
            "int64": "<i8",
            "date32[day]": "<i4",
            "timestamp[us]": "<i8",
            "timestamp[us, tz=UTC]": "<i8",
        }.get(str(kind), "<i4" if pa.types.is_decimal(kind) and kind.bit_width == 32 else None)
        if width is None:
            raise TypeError(f"a contract column of type {kind} has no digest yet: add it here")
        flat = np.frombuffer(column.buffers()[1], width)
        words = [flat[column.offset : column.offset + len(column)]]
    if column.null_count:
        missing = np.asarray(column.is_null())
        words = [np.where(missing, np.uint64(_NULL), _unsigned(word)) for word in words]
    return words


def _string_words(column: pa.Array) -> npt.NDArray[np.uint64]:
    """A polynomial hash of each string's UTF-8 bytes and length, modulo 2^64.

    The sum of byte * base^(position in the buffer) up to each end, differenced, then divided by
    base^start: whole columns at once, whatever the strings' lengths. Columns of few distinct
    values are hashed once per value.
    """
    if len(column) > 1000:
        encoded = pc.dictionary_encode(column.fill_null(""))
        if len(encoded.dictionary) * 10 < len(column):
            return _string_words(encoded.dictionary)[np.asarray(encoded.indices)]
    offsets = np.frombuffer(column.buffers()[1], "<i4")
    offsets = offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)
    data = column.buffers()[2]
    if data is None:
        return np.zeros(len(column), np.uint64)
    letters = np.frombuffer(data, np.uint8)
    words = np.empty(len(column), np.uint64)
    for start in range(0, len(column), STEP // 4):
        ends = offsets[start : start + STEP // 4 + 1]
        words[start : start + STEP // 4] = _polynomials(letters[ends[0] : ends[-1]], ends - ends[0])
    return words


def _polynomials(
    letters: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    size = 1 << max(1, len(letters).bit_length())
    terms = (letters.astype(np.uint64) + np.uint64(1)) * _powers(_STRING_BASE, size)[: len(letters)]
    sums = np.zeros(len(letters) + 1, np.uint64)
    np.add.accumulate(terms, out=sums[1:])
    inverse = _powers(pow(_STRING_BASE, -1, 1 << 64), size)
    text = (sums[offsets[1:]] - sums[offsets[:-1]]) * inverse[offsets[:-1]]
    return text + (offsets[1:] - offsets[:-1]).astype(np.uint64)


@lru_cache(maxsize=64)
def _powers(base: int, size: int) -> npt.NDArray[np.uint64]:
    powers = np.full(size, base, np.uint64)
    powers[0] = 1
    np.multiply.accumulate(powers, out=powers)
    return powers
