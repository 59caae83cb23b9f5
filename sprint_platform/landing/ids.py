"""Ids of landed files as UUIDs: unchanged where they are UUIDs, however they are spelled, else a
hash of their text."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]

# What a column's ids identify. A product's, a player's … text gives one id in every column.
KINDS = {
    "session_id": "session",
    "player_id": "player",
    "transaction_id": "transaction",
    "product_id": "product",
    "party_id": "party",
}
# How UUIDs are spelled, by length: what stands before the digits, whether dashes divide them, and
# what stands after them.
_SPELLINGS = {
    36: (b"", True, b""),
    32: (b"", False, b""),
    38: (b"{", True, b"}"),
    34: (b"{", False, b"}"),
    45: (b"urn:uuid:", True, b""),
    41: (b"urn:uuid:", False, b""),
}
_DASHES = np.array([8, 13, 18, 23])
# The places of the pairs of digits in 00000000-0000-0000-0000-000000000000.
_PAIRS = np.array([0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34])
_NO_DIGIT = 0xFF
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
for _value, _letters in enumerate([*"0123456789", "aA", "bB", "cC", "dD", "eE", "fF"]):
    for _letter in _letters:
        _DIGITS[ord(_letter)] = _value


def hashed_id(kind: str, text: str) -> bytes:
    """The 16 bytes of the UUID (version 8) that stands for a source's id: the same for the same
    kind and text, in every file and format."""
    digest = bytearray(hashlib.blake2b(f"{kind}\0{text}".encode(), digest_size=16).digest())
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def uuid_texts(texts: pa.StringArray) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """The 16 bytes of each text that is a UUID (in any case, with dashes or none, in braces, as a
    URN), and which texts are such."""
    count = len(texts)
    ids, good = np.zeros((count, 16), np.uint8), np.zeros(count, np.bool_)
    if not count or texts.buffers()[2] is None:
        return ids, good
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + count + 1]
    letters = np.frombuffer(texts.buffers()[2], np.uint8)
    lengths = np.diff(offsets)
    for length, (before, dashes, after) in _SPELLINGS.items():
        rows = np.flatnonzero(lengths == length)
        if not len(rows):
            continue
        spelled = letters[offsets[:-1][rows].astype(np.int64)[:, None] + np.arange(length)]
        pairs = len(before) + (_PAIRS if dashes else np.arange(0, 32, 2))
        high, low = _DIGITS[spelled[:, pairs]], _DIGITS[spelled[:, pairs + 1]]
        fits = ((high != _NO_DIGIT) & (low != _NO_DIGIT)).all(axis=1)
        for place, letter in enumerate(before):
            fits &= (spelled[:, place] | 0x20) == (letter | 0x20)
        for place, letter in enumerate(after, length - len(after)):
            fits &= spelled[:, place] == letter
        if dashes:
            fits &= (spelled[:, len(before) + _DASHES] == ord("-")).all(axis=1)
        ids[rows[fits]] = ((high << 4) | (low & 0x0F))[fits]
        good[rows] = fits
    return ids, good


def as_uuids(ids: Bytes) -> pa.Array:
    """Rows of 16 bytes as an Arrow uuid array."""
    buffer = pa.py_buffer(np.ascontiguousarray(ids))
    storage = pa.Array.from_buffers(pa.binary(16), len(ids), [None, buffer])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)
