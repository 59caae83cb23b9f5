"""Texts and numbers as points in time: microseconds since 1970, UTC, whole columns at once."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.core.window import EARLIEST, LATEST

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MICROSECONDS_A_DAY = 86_400_000_000
MICROSECONDS_PER = {"s": 1_000_000, "ms": 1_000, "us": 1}
# What counts units since 1970, the shortest last.
UNITS = (*MICROSECONDS_PER, "ns")
_REPEATED: dict[str, Literal["earliest", "latest", "null"]] = {
    "first": "earliest",
    "second": "latest",
    "reject": "null",
}
END = ((LATEST - EARLIEST).days + 1) * 86_400 * 1_000_000
# Years 0 … 9999 as days since 1970: the first day of each month, and the month after the last.
_MONTH_STARTS = np.concatenate(
    [
        np.arange("0000-01", "10000-01", dtype="datetime64[M]").astype("datetime64[D]"),
        np.array(["10000-01-01"], "datetime64[D]"),
    ]
).astype(np.int64)


def in_range(times: Integers) -> Mask:
    """Mask of the times in the years that the contract allows."""
    return (times >= 0) & (times < END)


def zoned(times: Integers, zone: str, repeated: str = "first") -> tuple[Integers, Mask]:
    """Wall-clock times of a zone as UTC, and which of them exist there. Of an hour that comes twice
    it is the ``repeated`` one: first, second, or neither (reject)."""
    if zone == "UTC":
        return times, np.ones(len(times), np.bool_)
    # outside of what a calendar knows they are out of range anyway
    safe = np.where((times >= -END) & (times < 2 * END), times, 0)
    local = pl.Series(safe).cast(pl.Datetime("us"))
    which = _REPEATED[repeated]
    utc = local.dt.replace_time_zone(zone, ambiguous=which, non_existent="null")
    exists = utc.is_not_null().to_numpy()
    moved = utc.dt.convert_time_zone("UTC").to_physical().fill_null(0).to_numpy()
    return np.where(safe == times, moved, times), exists


def midnights(texts: pa.StringArray, zone: str) -> tuple[Integers, Mask]:
    """The beginning of each text's day in the zone, where the text is a date alone (2025-01-31),
    and which of them are."""
    dated = pc.match_substring_regex(texts, r"^\d{4}-\d{2}-\d{2}$").fill_null(False)
    if not pc.any(dated).as_py():
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    at_midnight = pc.if_else(dated, pc.binary_join_element_wise(texts, "00:00", " "), None)
    days, good, _ = iso_times(at_midnight)
    begun, exists = zoned(days, zone)
    # where clocks go forward at midnight, the day begins an hour later
    later, _ = zoned(days + 3_600_000_000, zone)
    return np.where(exists, begun, later), good


def as_iso(texts: pa.StringArray) -> pa.StringArray:
    """Texts whose zone stands apart as ISO 8601 has it: ``12:00:00 UTC``, ``12:00:00 +0000``."""
    joined = pc.replace_substring_regex(texts, r"(?i)\s+(?:UTC|GMT|Z)$", "Z")
    return pc.replace_substring_regex(joined, r"\s+([+-]\d{2}(?::?\d{2})?)$", r"\1")


def iso_times(texts: pa.StringArray) -> tuple[Integers, Mask, Mask]:
    """ISO 8601 texts: their times, which could be read, and which of them have no offset.

    ``2025-01-31T12:00``, with or without seconds and up to nine digits of them (cut to six), ``T``
    or a space, then nothing, ``Z`` or an offset. Texts of one length and shape are read together,
    digit by digit. A text with spaces around it is not read: the caller trims it.
    """
    count = len(texts)
    times, good = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    naive = np.zeros(count, np.bool_)
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + count + 1]
    data = texts.buffers()[2]
    letters = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    lengths = np.diff(offsets)
    for length in np.unique(lengths[(lengths >= 16) & (lengths <= 35)]).tolist():
        rows = np.flatnonzero(lengths == length)
        starts = offsets[:-1][rows].astype(np.int64)
        for chosen, suffix in _suffixes(letters, starts, length):
            if len(chosen):
                into = rows[chosen]
                seconds = length - suffix
                times[into], good[into] = _body(letters, starts[chosen], seconds)
                naive[into] = suffix == 0
                if suffix > 1:
                    shift, valid = _offset(letters, starts[chosen] + seconds, suffix)
                    times[into] -= shift
                    good[into] &= valid
    return times, good, naive


def _suffixes(
    letters: npt.NDArray[np.uint8], starts: Integers, length: int
) -> list[tuple[Integers, int]]:
    """The texts by the length of what follows the seconds: Z (1), +02 (3), +0200 (5), +02:00 (6)
    or nothing (0)."""
    left = np.ones(len(starts), np.bool_)
    groups: list[tuple[Integers, int]] = []
    for suffix, signs in ((1, b"Zz"), (6, b"+-"), (5, b"+-"), (3, b"+-")):
        if length - suffix < 16:
            continue
        sign = letters[starts + (length - suffix)]
        fits = left & ((sign == signs[0]) | (sign == signs[1]))
        left &= ~fits
        groups.append((np.flatnonzero(fits), suffix))
    groups.append((np.flatnonzero(left), 0))
    return groups


def _body(letters: npt.NDArray[np.uint8], starts: Integers, length: int) -> tuple[Integers, Mask]:
    """Texts of one length as wall-clock times: 16 letters to the minute, 19 to the second, 21 to 29
    with a fraction."""
    good = np.ones(len(starts), np.bool_)
    if length not in (16, 19) and not 21 <= length <= 29:
        return np.zeros(len(starts), np.int64), np.zeros(len(starts), np.bool_)

    def is_any(place: int, allowed: bytes) -> None:
        letter = letters[starts + place]
        fits = letter == allowed[0]
        for other in allowed[1:]:
            fits |= letter == other
        np.logical_and(good, fits, out=good)

    def number(begin: int, end: int) -> Integers:
        value = np.zeros(len(starts), np.int64)
        for place in range(begin, end):
            digit = letters[starts + place] - np.uint8(48)  # other letters wrap above 9
            np.logical_and(good, digit <= 9, out=good)
            value = value * 10 + digit
        return value

    for place, allowed in ((4, b"-"), (7, b"-"), (10, b"T t"), (13, b":")):
        is_any(place, allowed)
    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    hour, minute = number(11, 13), number(14, 16)
    second = micro = np.zeros(len(starts), np.int64)
    if length >= 19:
        is_any(16, b":")
        second = number(17, 19)
    if length > 19:
        is_any(19, b".,")
        digits = min(length, 26) - 20
        micro = number(20, 20 + digits) * 10 ** (6 - digits)
        number(20 + digits, length)  # cut, but digits they must be
    good &= (month >= 1) & (month <= 12) & (hour <= 23) & (minute <= 59) & (second <= 59)
    index = np.where(good, year * 12 + month - 1, 0)
    days = _MONTH_STARTS[index] + day - 1
    good &= (day >= 1) & (days < _MONTH_STARTS[index + 1])
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micro, good


def _offset(letters: npt.NDArray[np.uint8], starts: Integers, suffix: int) -> tuple[Integers, Mask]:
    """Offsets from UTC in microseconds: +02, +0200, +02:00."""
    places = [1, 2, *({3: [], 5: [3, 4], 6: [4, 5]}[suffix])]
    digits = [letters[starts + place] - np.uint8(48) for place in places]
    good = np.logical_and.reduce([digit <= 9 for digit in digits])
    if suffix == 6:
        good &= letters[starts + 3] == ord(":")
    hours = digits[0].astype(np.int64) * 10 + digits[1]
    minutes = digits[2].astype(np.int64) * 10 + digits[3] if len(digits) > 2 else 0 * hours
    good &= (hours <= 23) & (minutes <= 59)
    sign = np.where(letters[starts] == ord("-"), -60_000_000, 60_000_000)
    return sign * (hours * 60 + minutes), good


def epoch_texts(texts: pa.StringArray, unit: str) -> tuple[Integers, Mask]:
    """Numbers as text that count units since 1970: their times, and which could be read."""
    numbers = pl.Series(pl.from_arrow(texts))
    whole = numbers.cast(pl.Int64, strict=False)
    times, good = epoch_integers(whole.fill_null(0).to_numpy(), unit)
    good &= whole.is_not_null().to_numpy()
    if not good.all():
        floats, fine = epoch_floats(
            numbers.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy(), unit
        )
        times, good = np.where(good, times, floats), good | fine
    return times, good


def epoch_integers(values: Integers, unit: str) -> tuple[Integers, Mask]:
    """Whole units since 1970; those that would overflow are clipped, and stay out of range."""
    if unit == "ns":
        return values // 1000, np.ones(len(values), bool)
    scale = MICROSECONDS_PER[unit]
    return np.clip(values, -1 - END // scale, 1 + END // scale) * scale, np.ones(len(values), bool)


def epoch_floats(values: npt.NDArray[np.float64], unit: str) -> tuple[Integers, Mask]:
    """Units since 1970 with a fraction, rounded to the nearest microsecond."""
    finite = np.isfinite(values)
    scale = MICROSECONDS_PER.get(unit, 0.001)
    clipped = np.clip(np.where(finite, values, 0), -1 - END / scale, 1 + END / scale)
    return np.rint(clipped * scale).astype(np.int64), finite
