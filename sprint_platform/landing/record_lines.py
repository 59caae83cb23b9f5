"""Records as lines of text, CSV or JSON: made by whole columns, no Python object per value.

Ids are UUID text, times ISO 8601 in UTC with microseconds where there are any, positions and prices
have two decimals, flags are true/false, and what is missing is empty in CSV and null in JSON.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

# column -> row -> the text that stands in place of the value
Garbage = Mapping[str, Mapping[int, str]]
_NONE: Garbage = MappingProxyType({})


def csv_header(names: list[str]) -> bytes:
    """The first line of a CSV file."""
    return (",".join(names) + "\n").encode()


def csv_lines(records: pa.Table, garbage: Garbage = _NONE) -> memoryview:
    """The records as CSV lines without a header."""
    cells = {name: _csv_cells(records[name], garbage.get(name)) for name in records.column_names}
    buffer = io.BytesIO()
    pl.DataFrame(cells).write_csv(buffer, include_header=False)
    return buffer.getbuffer()


def ndjson_lines(records: pa.Table, garbage: Garbage = _NONE) -> memoryview:
    """The records as one JSON object a line."""
    return JsonLines(records, "\n", garbage).of(0, records.num_rows)


class JsonLines:
    """The records as JSON objects, in one buffer: ``lines.of(first, last)`` are the bytes of these
    rows, with ``between`` between them and, where that is a line's end, after the last."""

    def __init__(self, records: pa.Table, between: str, garbage: Garbage = _NONE) -> None:
        self._cut = 0 if between == "\n" else len(between)
        pieces: list[pl.Expr] = []
        values: dict[str, pl.Series] = {}
        for number, name in enumerate(records.column_names):
            values[name] = _json_values(records[name], garbage.get(name))
            pieces += [pl.lit(f"{',' if number else '{'}{json.dumps(name)}:"), pl.col(name)]
        lines = pl.concat_str([*pieces, pl.lit("}" + between)])
        text = pl.DataFrame(values).select(lines).to_series()
        array = text.to_arrow(compat_level=pl.CompatLevel.oldest())
        starts = np.frombuffer(array.buffers()[1], np.int64)
        self._starts = starts[array.offset : array.offset + len(array) + 1].tolist()
        self._bytes = memoryview(array.buffers()[2] or b"")

    def of(self, first: int, last: int) -> memoryview:
        start, stop = self._starts[first], self._starts[last]
        return self._bytes[start : max(start, stop - self._cut)]


def text_of(column: pa.ChunkedArray) -> pa.Array:
    """The column's values as text; null stays null."""
    text = _column_text(column).to_arrow(compat_level=pl.CompatLevel.oldest())
    return text.cast(pa.string())


def in_one_piece(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array, ids as their 16 bytes."""
    array = column.combine_chunks()
    return array.storage if isinstance(array.type, pa.UuidType) else array


def id_bytes(ids: pa.Array) -> npt.NDArray[np.uint8]:
    """16-byte ids as an array (ids, 16)."""
    flat = np.frombuffer(ids.buffers()[1], np.uint8)
    return flat[16 * ids.offset : 16 * (ids.offset + len(ids))].reshape(-1, 16)


def _csv_cells(column: pa.ChunkedArray, wrong: Mapping[int, str] | None) -> pl.Series:
    """What polars writes as cells, in quotes where CSV needs them."""
    if wrong or _is_id_or_time(column.type):
        return _replaced(_column_text(column), wrong)
    return pl.Series(pl.from_arrow(column))


def _json_values(column: pa.ChunkedArray, wrong: Mapping[int, str] | None) -> pl.Series:
    """Every value as JSON text; a missing one is ``null``."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        text = _text(column)
    else:
        text = _words(column, _json_strings)
    wrong = {row: _json_string(words) for row, words in (wrong or {}).items()}
    return _replaced(text.fill_null("null"), wrong)


def _json_strings(values: pa.Array) -> pl.Series:
    text = _text(values)
    quoted = '"' + text + '"'
    if not pa.types.is_string(values.type):
        return quoted
    # few words need more than quotes: only these are made one by one
    rows = text.str.contains(r'[\x00-\x1f"\\]').arg_true()
    escaped = map(_json_string, text.gather(rows))
    return _replaced(quoted, dict(zip(rows, escaped, strict=True)))


def _json_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _replaced(text: pl.Series, wrong: Mapping[int, str] | None) -> pl.Series:
    """The text with other words in these rows."""
    return text.scatter(list(wrong), list(wrong.values())) if wrong else text


def _is_id_or_time(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.UuidType) or pa.types.is_timestamp(kind)


def _column_text(column: pa.ChunkedArray) -> pl.Series:
    return _words(column, _text) if _is_id_or_time(column.type) else _text(column)


def _words(column: pa.ChunkedArray, write: Callable[[pa.Array], pl.Series]) -> pl.Series:
    """The column as text, every distinct value written once: ids, times and words repeat."""
    encoded = in_one_piece(column).dictionary_encode()
    return write(encoded.dictionary).gather(pl.Series(pl.from_arrow(encoded.indices)))


def _text(values: pa.Array | pa.ChunkedArray) -> pl.Series:
    if pa.types.is_fixed_size_binary(values.type):
        return _ids(values)
    series = pl.Series(pl.from_arrow(values))
    if pa.types.is_timestamp(values.type):
        return series.dt.to_string("%Y-%m-%dT%H:%M:%S%.6f").str.strip_suffix(".000000") + "Z"
    return series.cast(pl.String)


_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), "<u2")


def _ids(values: pa.Array) -> pl.Series:
    """UUIDs as their canonical text: 20 million a second."""
    digits = _HEX[id_bytes(values)].view(np.uint8)
    text = np.full((len(values), 36), ord("-"), np.uint8)
    for start, stop, dashes in ((0, 8, 0), (8, 12, 1), (12, 16, 2), (16, 20, 3), (20, 32, 4)):
        text[:, start + dashes : stop + dashes] = digits[:, start:stop]
    starts = np.arange(len(values) + 1, dtype=np.int64) * 36
    array = pa.LargeStringArray.from_buffers(len(values), pa.py_buffer(starts), pa.py_buffer(text))
    return pl.Series(pl.from_arrow(array))
