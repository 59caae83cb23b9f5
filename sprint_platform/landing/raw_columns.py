"""Raw columns of any file as the texts that a CSV file would have for them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column as one array; an extension type other than uuid as its storage."""
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks != 1:
            if pt.is_dictionary(column.type):
                column = column.unify_dictionaries()
            column = pa.chunked_array([column.combine_chunks()])
        column = column.chunk(0)
    if isinstance(column.type, pa.BaseExtensionType) and column.type != pa.uuid():
        column = column.storage
    return column


def is_text(type_: pa.DataType) -> bool:
    return bool(pt.is_string(type_) or pt.is_large_string(type_) or pt.is_string_view(type_))


def is_bytes(type_: pa.DataType) -> bool:
    return bool(
        pt.is_binary(type_)
        or pt.is_large_binary(type_)
        or pt.is_binary_view(type_)
        or pt.is_fixed_size_binary(type_)
    )


def value_type(type_: pa.DataType) -> pa.DataType:
    """The type of a column's values, also where they are dictionary-encoded."""
    return type_.value_type if pt.is_dictionary(type_) else type_


def texts(values: pa.Array) -> pa.StringArray:
    """Each value as text; null where it is null or empty."""
    type_ = values.type
    if pt.is_dictionary(type_):
        return texts(values.dictionary).take(values.indices)
    if pt.is_null(type_):
        return pa.nulls(len(values), pa.string())
    if is_text(type_):
        text = values.cast(pa.string())
        empty = pc.equal(text, "")
        return pc.if_else(empty, None, text) if pc.any(empty).as_py() else text
    if pt.is_integer(type_) or pt.is_boolean(type_):
        return values.cast(pa.string())
    if pt.is_temporal(type_):
        try:
            return values.cast(pa.string())
        except pa.ArrowException:  # a zone that nobody knows, or a year without a calendar
            width = pa.int32() if type_.bit_width == 32 else pa.int64()
            return values.view(width).cast(pa.string())
    return pa.array([_text(value) for value in values.to_pylist()], pa.string())


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace") or None
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return str(value)


def distinct(raw: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """A column's values, and the index into them of each row (-1: null). A value may occur twice,
    or in no row."""
    if not pt.is_dictionary(raw.type):
        if pt.is_decimal(raw.type) and raw.type.bit_width < 128:
            raw = raw.cast(pa.decimal128(raw.type.precision, raw.type.scale))
        elif pt.is_string_view(raw.type):
            raw = raw.cast(pa.string())
        elif pt.is_binary_view(raw.type):
            raw = raw.cast(pa.binary())
        elif isinstance(raw.type, pa.BaseExtensionType):
            raw = raw.storage
        try:
            raw = raw.dictionary_encode()
        except pa.ArrowNotImplementedError:  # lists and the like
            raw = texts(raw).dictionary_encode()
    indices = raw.indices
    if indices.null_count:
        indices = indices.cast(pa.int64()).fill_null(-1)
    return raw.dictionary, np.asarray(indices).astype(np.int64)


def pick(values: pa.Array, indices: npt.NDArray[np.int64]) -> pa.Array:
    """The values at the indices, null at -1."""
    none = indices < 0
    return values.take(pa.array(indices, mask=none if none.any() else None))
