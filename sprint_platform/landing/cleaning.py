"""Raw columns cleaned: the one place where what a file spells becomes a value, before its type.

Alike for every format and every column: text is trimmed, ``mapping.values`` translates it, and null
words are no value. An id or a team's label that is a whole number has no ``.0``, and an id of 16
bytes is a UUID, unless it can be read.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from sprint_platform.landing.files import FileRefused
from sprint_platform.landing.raw_columns import distinct, is_bytes, is_text, texts, value_type
from sprint_platform.telemetry.contracts import Column
from sprint_platform.title import Mapping

# People call themselves, and shops their products, as they like, also NULL.
NAMES = ("display_name", "product_name")
LABEL = "team_label"
# From here on a float counts in steps of more than one: two ids have become one.
_EXACT = {16: 2**11, 32: 2**24, 64: 2**53}
_WHOLE = r"^(-?\d+)\.0+$"
# how columns of floats are written: 9007199254740993.0, 9.007199254740993e+15
_LARGE_FLOAT = r"^-?(\d{16,}\.0|\d\.\d+[eE]\+?\d{2,3})$"


def cleaned(mapping: Mapping, column: Column, raw: pa.Array) -> pa.Array:
    """The column as text, or in Parquet's own type; null where there is no value. Raises
    FileRefused for ids that a float can no longer distinguish."""
    is_id = column.type == "uuid"
    if is_bytes(value_type(raw.type)):
        raw = _of_bytes(raw, is_id)
    if raw.type == pa.uuid():
        if column.name not in mapping.values:
            return raw
        raw = _by_value(raw.storage, lambda value: str(UUID(bytes=value)))
    if (is_id or column.name == LABEL) and not pt.is_dictionary(raw.type):
        # the same few in every row
        values, indices = distinct(raw)
        raw = pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), values)
    if pt.is_dictionary(raw.type):
        return pa.DictionaryArray.from_arrays(
            raw.indices, _cleaned(mapping, column, raw.dictionary)
        )
    return _cleaned(mapping, column, raw)


def _cleaned(mapping: Mapping, column: Column, raw: pa.Array) -> pa.Array:
    is_id = column.type == "uuid"
    nulls = () if column.name in NAMES else mapping.null_words
    if pt.is_floating(raw.type):
        if is_id:
            _refuse_inexact(column, raw)
        if any(word.casefold() == "nan" for word in nulls):
            raw = _without(raw, pc.is_nan(raw))
    if is_text(raw.type):
        raw = _trimmed(texts(raw))
        if is_id or column.name == LABEL:
            raw = _whole(column, raw, is_id)
    # labels are what a file has in the place of the contract's number
    if words := mapping.values.get("team_id" if column.name == LABEL else column.name):
        raw = _translated(raw, words, exactly=is_id)
    return _without_words(raw, nulls) if nulls and is_text(raw.type) else raw


def _of_bytes(raw: pa.Array, is_id: bool) -> pa.Array:
    """A binary column as text, or as UUIDs where all of an id's 16 bytes are one."""
    if not is_id:
        return texts(raw)
    if _are_uuids(raw):
        return pa.ExtensionArray.from_storage(pa.uuid(), raw)
    return _by_value(raw, _uuid_or_text)


def _by_value(raw: pa.Array, spelled: Callable[[bytes], str]) -> pa.DictionaryArray:
    """A binary column as texts, each distinct value spelled once."""
    values, indices = distinct(raw if pt.is_dictionary(raw.type) else raw.cast(pa.binary()))
    texts_of = [None if value is None else spelled(value) for value in values.to_pylist()]
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, mask=indices < 0), pa.array(texts_of, pa.string())
    )


def _are_uuids(raw: pa.Array) -> bool:
    """Whether the variant of every id is that of UUIDs: a byte that no ASCII text has."""
    if not (pt.is_fixed_size_binary(raw.type) and raw.type.byte_width == 16):
        return False
    data = raw.buffers()[1]
    letters = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    is_uuid = letters[raw.offset * 16 :][8 : 16 * len(raw) : 16] >= 0x80
    return bool((is_uuid | np.asarray(raw.is_null())).all())


def _uuid_or_text(value: bytes) -> str:
    """What can be read is text; of 16 bytes all else is a UUID, and so is what has a UUID's version
    and variant."""
    if len(value) != 16:
        return value.decode("utf-8", "backslashreplace")
    is_uuid = 1 <= value[6] >> 4 <= 8 and value[8] >> 6 == 0b10
    text = "" if is_uuid else value.decode("utf-8", "ignore")
    readable = text.isprintable() and text.encode() == value
    return text if readable else str(UUID(bytes=value))


def _refuse_inexact(column: Column, raw: pa.Array) -> None:
    numbers = raw.cast(pa.float64())
    largest = pc.max(pc.abs(pc.if_else(pc.is_finite(numbers), numbers, 0))).as_py()
    if largest is not None and largest >= _EXACT[raw.type.bit_width]:
        raise _inexact(column, f"{largest:.0f}")


def _inexact(column: Column, value: str) -> FileRefused:
    return FileRefused(
        "inexact_ids",
        f"{column.name} was written as a float, which at {value} no longer counts one by one, so"
        " that ids that differ have become one: deliver them as whole numbers or as text",
    )


def _whole(column: Column, text: pa.StringArray, is_id: bool) -> pa.StringArray:
    """The texts, those of whole numbers without ``.0``."""
    if not pc.any(pc.match_substring(text, ".")).as_py():
        return text
    if is_id:
        for value in text.filter(pc.match_substring_regex(text, _LARGE_FLOAT)).to_pylist():
            if abs(float(value)) >= _EXACT[64]:
                raise _inexact(column, value)
    return pc.replace_substring_regex(text, _WHOLE, r"\1")


def _letters(text: pa.StringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """The letters of all texts, and where each of them begins, and the last ends."""
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    data = text.buffers()[2]
    return np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8), offsets


def _trimmed(text: pa.StringArray) -> pa.StringArray:
    """The texts without spaces around them. Most have none, as their first and last letters
    show."""
    if not len(text):
        return text
    letters, offsets = _letters(text)
    some = offsets[1:] > offsets[:-1]
    for ends in (offsets[:-1][some], offsets[1:][some] - 1):
        letter = letters[ends]
        # the spaces of other scripts are not ASCII
        if ((letter <= 0x20) | (letter >= 0x7F)).any():
            break
    else:
        return text
    trimmed = pc.utf8_trim_whitespace(text)
    return _without(trimmed, pc.equal(trimmed, ""))


def _without(raw: pa.Array, gone: pa.BooleanArray) -> pa.Array:
    """The column, null at the places of the mask."""
    if not pc.any(gone).as_py():
        return raw
    return pc.if_else(pc.fill_null(gone, False), pa.scalar(None, raw.type), raw)


def _without_words(text: pa.StringArray, nulls: tuple[str, ...]) -> pa.StringArray:
    """The texts, null where they are one of the words. Few begin as one of them does."""
    letters, offsets = _letters(text)
    if not len(letters):
        return text
    begins = np.zeros(256, np.bool_)
    begins[[word.encode()[0] for word in nulls]] = True
    longest = max(len(word.encode()) for word in nulls)
    lengths = np.diff(offsets)
    maybe = begins[letters[np.minimum(offsets[:-1], len(letters) - 1)]]
    maybe &= (lengths > 0) & (lengths <= longest)
    if not maybe.any():
        return text
    return _without(text, pc.is_in(text, value_set=pa.array(nulls, pa.string())))


def _translated(raw: pa.Array, words: dict[str, str], *, exactly: bool) -> pa.Array:
    """The column with the title's words in place of the file's; a column with other values than
    text becomes text where one of them is translated. Ids are compared letter by letter, other
    words in any case."""
    values, indices = distinct(raw)
    any_case = {} if exactly else {word.casefold(): meant for word, meant in words.items()}
    spelled = texts(values).to_pylist()
    meant = [
        None if text is None else words.get(text, any_case.get(text.casefold(), text))
        for text in spelled
    ]
    if meant == spelled:
        return raw
    found = _trimmed(texts(pa.array(meant, pa.string())))
    return found.take(pa.array(indices, mask=indices < 0))
