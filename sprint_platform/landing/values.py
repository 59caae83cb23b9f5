"""Raw columns as the contract's types: what each value is, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from sprint_platform.core.window import EARLIEST
from sprint_platform.landing import times
from sprint_platform.landing.cleaning import cleaned
from sprint_platform.landing.ids import KINDS, as_uuids, hashed_id, uuid_texts
from sprint_platform.landing.raw_columns import distinct, pick, texts
from sprint_platform.landing.times import UNITS
from sprint_platform.telemetry.contracts import Column
from sprint_platform.title import Mapping, Title

Faults = npt.NDArray[np.uint8]

# What may be wrong with a value; a fault is an index into this.
REASONS = (
    "",
    "missing_value",
    "unparseable",
    "out_of_range",
    "unknown_value",
    "ends_before_start",
    "longer_than_its_time",
    "before_launch",
    # a number as a time, and the unit in which it would be none of that
    *(
        f"{why}: epoch_unit {unit} fits"
        for why in ("out_of_range", "before_launch")
        for unit in UNITS
    ),
)
FINE, MISSING, UNPARSEABLE, OUT_OF_RANGE, UNKNOWN, ENDS_BEFORE_START, TOO_LONG, EARLY = range(8)
_FITS = {OUT_OF_RANGE: EARLY + 1, EARLY: EARLY + 1 + len(UNITS)}

# The longest name, word or label, in letters; a longer text would be held for every row.
LONGEST_TEXT = 1024
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
FLAGS = dict.fromkeys(("true", "t", "yes", "y", "1"), True)
FLAGS |= dict.fromkeys(("false", "f", "no", "n", "0"), False)
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Hashed:
    """Ids that are no UUIDs: the distinct texts and ids, and which of them each row has (-1: its
    id is a UUID)."""

    kind: str
    source_ids: list[str | None]
    ids: npt.NDArray[np.uint8]
    indices: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Converted:
    """A column in the contract's type, one fault a row (0: none), and the ids that were hashed.
    An absent value is null and MISSING; with another fault the value has no meaning."""

    values: pa.Array
    faults: Faults
    hashed: Hashed | None = None


def convert(title: Title, column: Column, raw: pa.Array) -> Converted:
    """A raw column as the contract's. Raises FileRefused for ids that are no longer exact."""
    mapping = title.landing_settings.mapping
    raw = cleaned(mapping, column, raw)
    if column.type == "uuid":
        return _ids(column, raw)
    if column.type == "timestamp":
        return _times(mapping, raw)
    if column.type == "position":
        return _positions(title, column, raw)
    if column.type == "text" and not column.values:
        return _free_text(raw)
    if column.type in ("integer", "small") and pt.is_integer(raw.type):
        return _integers(column, raw)
    return _by_distinct(column, raw)


def _absent(raw: pa.Array) -> Faults:
    missing = np.zeros(len(raw), np.uint8)
    if raw.null_count:
        missing[np.asarray(raw.is_null())] = MISSING
    return missing


def _ids(column: Column, raw: pa.Array) -> Converted:
    if raw.type == pa.uuid():
        return Converted(raw, _absent(raw))
    values, indices = distinct(raw)
    spelled = texts(values)
    ids, is_uuid = uuid_texts(spelled)
    kind = KINDS[column.name]
    source_ids: list[str | None] = [None] * len(values)
    hashed_here = np.zeros(len(values), np.bool_)
    rest = np.flatnonzero(~is_uuid)
    for place, text in zip(rest.tolist(), spelled.take(pa.array(rest)).to_pylist(), strict=True):
        if text:
            source_ids[place] = text
            hashed_here[place] = True
            ids[place] = np.frombuffer(hashed_id(kind, text), np.uint8)
    # one more row, for those that have none
    ids = np.concatenate([ids, np.zeros((1, 16), np.uint8)])
    known = np.append(is_uuid | hashed_here, False)
    faults = np.where(known[indices], FINE, MISSING).astype(np.uint8)
    hashed = None
    if hashed_here.any():
        hashed = Hashed(
            kind, source_ids, ids, np.where(np.append(hashed_here, False)[indices], indices, -1)
        )
    found = as_uuids(ids[indices])
    if column.nullable and faults.any():
        blank = pa.scalar(None, pa.binary(16))
        known_here = pa.array(known[indices])
        found = pa.ExtensionArray.from_storage(
            pa.uuid(), pc.if_else(known_here, found.storage, blank)
        )
    return Converted(found, faults, hashed)


def _times(mapping: Mapping, raw: pa.Array) -> Converted:
    if pt.is_dictionary(raw.type):
        values, indices = distinct(raw)
        return _taken(_times(mapping, values), indices)
    unit = mapping.epoch_unit
    if pt.is_timestamp(raw.type):
        moments, good = _timestamps(raw), np.ones(len(raw), np.bool_)
        if raw.type.tz is None:
            moments, good = times.zoned(moments, mapping.time_zone, mapping.repeated_hour)
    elif unit and pt.is_integer(raw.type):
        # what uint64 wraps to lies before 1970, out of range too
        whole = np.asarray(raw.fill_null(0)).astype(np.int64)
        moments, good = times.epoch_integers(whole, unit)
    elif unit and (pt.is_float32(raw.type) or pt.is_float64(raw.type)):
        moments, good = times.epoch_floats(np.asarray(raw.cast(pa.float64()).fill_null(0)), unit)
    else:
        raw = texts(raw)
        moments, good = _spelled_times(mapping, raw)
    faults = _absent(raw)
    faults[(faults == FINE) & ~good] = UNPARSEABLE
    faults[(faults == FINE) & ~times.in_range(moments)] = OUT_OF_RANGE
    return Converted(pa.array(moments).view(pa.timestamp("us")), faults)


def since_launch(title: Title, raw: pa.Array, converted: Converted) -> Converted:
    """The times of what happens, with a fault where they lie before the launch. Where a number is
    no time of the title, the reason names the unit in which it would be one."""
    launch = (title.launch_date - EARLIEST).days * times.MICROSECONDS_A_DAY
    moments = np.asarray(converted.values.view(pa.int64()).fill_null(0))
    faults = np.where((converted.faults == FINE) & (moments < launch), EARLY, converted.faults)
    wrong = np.flatnonzero((faults == EARLY) | (faults == OUT_OF_RANGE))
    unit = title.landing_settings.mapping.epoch_unit
    if len(wrong) and unit and not pt.is_timestamp(raw.type):
        numbers = pl.Series(pl.from_arrow(texts(raw.take(pa.array(wrong)))))
        floats = numbers.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        for place, other in enumerate(UNITS):
            meant, good = times.epoch_floats(floats, other)
            fits = good & (meant >= launch) & times.in_range(meant) & (other != unit)
            for why, first in _FITS.items():
                faults[wrong[fits & (faults[wrong] == why)]] = first + place
    return Converted(converted.values, faults.astype(np.uint8), converted.hashed)


def _timestamps(raw: pa.Array) -> npt.NDArray[np.int64]:
    """Arrow timestamps of any unit in microseconds, cut; null is 0."""
    moments = np.asarray(raw.view(pa.int64()).fill_null(0))
    if raw.type.unit == "ns":
        return moments // 1000
    return times.epoch_integers(moments, raw.type.unit)[0]


def _spelled_times(mapping: Mapping, raw: pa.StringArray) -> tuple[times.Integers, times.Mask]:
    moments, good, naive = times.iso_times(raw)
    if not good.all():
        # what warehouses and spreadsheets write is spelled as ISO 8601 has it
        rest = np.flatnonzero(~good)
        others = times.as_iso(raw.take(pa.array(rest)))
        moments[rest], good[rest], naive[rest] = times.iso_times(others)
    if naive.any():
        moments[naive], exists = times.zoned(
            moments[naive], mapping.time_zone, mapping.repeated_hour
        )
        good[naive] &= exists
    rest = np.flatnonzero(~good)
    if len(rest):
        others = raw.take(pa.array(rest))
        if mapping.epoch_unit:
            moments[rest], good[rest] = times.epoch_texts(others, mapping.epoch_unit)
        dates, are_dates = times.midnights(others, mapping.time_zone)
        moments[rest[are_dates]], good[rest[are_dates]] = dates[are_dates], True
    return moments, good


def _positions(title: Title, column: Column, raw: pa.Array) -> Converted:
    if pt.is_dictionary(raw.type):
        values, indices = distinct(raw)
        return _taken(_positions(title, column, values), indices)
    mapping = title.landing_settings.mapping
    axis = column.name[-1]
    scale = mapping.position_scale["xyz".index(axis)]
    offset = mapping.position_offset["xyz".index(axis)]
    low, high = (wall * 100 for wall in getattr(title.grid, axis))
    faults = _absent(raw)
    if pt.is_decimal(raw.type) and raw.type.scale == 2 and scale == 1 and offset == 0:
        # hundredths already; Parquet's readers widen them
        cents = np.asarray(_hundredths(raw))
    else:
        if pt.is_integer(raw.type) or pt.is_floating(raw.type) or pt.is_decimal(raw.type):
            floats = raw.cast(pa.float64(), safe=False)
        else:
            raw = texts(raw)
            floats = _floats(raw)
            faults = _absent(raw)
        numbers = np.asarray(floats.fill_null(0) if floats.null_count else floats)
        unread = ~np.isfinite(numbers)
        if floats.null_count:
            unread |= np.asarray(floats.is_null())
        faults[(faults == FINE) & unread] = UNPARSEABLE
        with np.errstate(over="ignore", invalid="ignore"):
            if scale != 1 or offset != 0:
                numbers = numbers * scale + offset
            cents = np.rint(numbers * 100)
    inside = (cents >= low) & (cents <= high)
    if not inside.all():
        faults[(faults == FINE) & ~inside] = OUT_OF_RANGE
        cents = np.where(inside, cents, 0)
    return Converted(_decimals(cents.astype(np.int32), column.arrow_type), faults)


def _floats(raw: pa.StringArray) -> pa.Array:
    """Texts as numbers, null where they are none."""
    numbers = pl.Series(pl.from_arrow(raw)).cast(pl.Float64, strict=False).to_arrow()
    return numbers.cast(pa.float64())


def _hundredths(raw: pa.Array) -> npt.NDArray[np.int64]:
    """The whole hundredths of decimals with two places; null and what no grid holds far outside."""
    width = raw.type.bit_width
    if width > 128:
        raw = raw.cast(pa.decimal128(38, 2), safe=False)
        width = 128
    words = np.frombuffer(raw.buffers()[1], f"<i{min(width, 64) // 8}")
    words = words.reshape(-1, max(1, width // 64))[raw.offset : raw.offset + len(raw)]
    hundredths = words[:, 0].astype(np.int64)
    if width == 128:
        hundredths = np.where(words[:, 1] == hundredths >> 63, hundredths, np.iinfo(np.int64).max)
    return hundredths


def _decimals(hundredths: npt.NDArray[np.int32], type_: pa.DataType) -> pa.Array:
    buffer = pa.py_buffer(np.ascontiguousarray(hundredths))
    return pa.Array.from_buffers(type_, len(hundredths), [None, buffer])


def _bounds(column: Column) -> tuple[int, int]:
    """The least and the largest integer: of the contract, or else of the type."""
    bits = {"integer": 31, "small": 15}[column.type]
    low = -(2**bits) if column.low is None else int(column.low)
    high = 2**bits - 1 if column.high is None else int(column.high)
    return low, high


def _integers(column: Column, raw: pa.Array) -> Converted:
    faults = _absent(raw)
    low, high = _bounds(column)
    # in its own type, which may not hold the bounds
    values = np.asarray(raw.fill_null(0))
    inside = (values >= low) & (values <= high)
    faults[~inside & (faults == FINE)] = OUT_OF_RANGE
    values = np.where(inside, values, low).astype(column.arrow_type.to_pandas_dtype())
    return Converted(pa.array(values, mask=faults == MISSING), faults)


def _free_text(raw: pa.Array) -> Converted:
    text = texts(raw)
    faults = _absent(text)
    long = pc.greater(pc.utf8_length(text), LONGEST_TEXT).fill_null(False)
    faults[np.asarray(long)] = OUT_OF_RANGE
    return Converted(text, faults)


def _by_distinct(column: Column, raw: pa.Array) -> Converted:
    """Each distinct value is read once: numbers, flags and words have few of them."""
    values, indices = distinct(raw)
    read = _READERS[column.type]
    read_values: list[Any] = []
    faults = np.zeros(len(values), np.uint8)
    for place, text in enumerate(texts(values).to_pylist()):
        value, faults[place] = read(column, text) if text else (None, MISSING)
        read_values.append(value)
    return _taken(Converted(pa.array(read_values, column.arrow_type), faults), indices)


def _taken(converted: Converted, indices: npt.NDArray[np.int64]) -> Converted:
    return Converted(
        pick(converted.values, indices), np.append(converted.faults, np.uint8(MISSING))[indices]
    )


def _number(text: str) -> Decimal | None:
    return Decimal(text) if len(text) <= 400 and _NUMBER.fullmatch(text) else None


def _read_integer(column: Column, text: str) -> tuple[int | None, int]:
    number = _number(text)
    if number is None:
        return None, UNPARSEABLE
    low, high = _bounds(column)
    # first, because 1e999 has a thousand digits
    if not low <= number <= high:
        return None, OUT_OF_RANGE
    return (int(number), FINE) if number == int(number) else (None, UNPARSEABLE)


def _read_money(column: Column, text: str) -> tuple[Decimal | None, int]:
    number = _number(text)
    if number is None:
        return None, UNPARSEABLE
    if abs(number) >= 10_000_000:
        return None, OUT_OF_RANGE
    number = number.quantize(_CENT, ROUND_HALF_EVEN)
    low = column.low if column.low is not None else -10_000_000
    high = column.high if column.high is not None else 10_000_000
    return (number, FINE) if low <= number <= high and number < 10_000_000 else (None, OUT_OF_RANGE)


def _read_flag(_: Column, text: str) -> tuple[bool | None, int]:
    flag = FLAGS.get(text.lower())
    return flag, UNPARSEABLE if flag is None else FINE


def _read_word(column: Column, text: str) -> tuple[str | None, int]:
    if len(text) > LONGEST_TEXT:
        return None, OUT_OF_RANGE
    if not column.values:
        return text, FINE
    for value in column.values:
        if value.casefold() == text.casefold():
            return value, FINE
    return None, UNKNOWN


_READERS: dict[str, Callable[[Column, str], tuple[Any, int]]] = {
    "integer": _read_integer,
    "small": _read_integer,
    "money": _read_money,
    "flag": _read_flag,
    "text": _read_word,
}
