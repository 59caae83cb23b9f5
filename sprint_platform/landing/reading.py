"""A landed file as pieces, whatever its format: each is parsed on its own into raw columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sprint_platform.landing.chunks import Broken, Chunk, Piece
from sprint_platform.landing.csv_reading import csv_pieces
from sprint_platform.landing.files import Found
from sprint_platform.landing.json_reading import json_pieces, ndjson_pieces
from sprint_platform.landing.parquet_reading import parquet_pieces

__all__ = ["Broken", "Chunk", "Piece", "pieces"]

_READERS: dict[str, Callable[[Found, set[str]], Iterator[Piece]]] = {
    "csv": csv_pieces,
    "ndjson": ndjson_pieces,
    "json": json_pieces,
    "parquet": parquet_pieces,
}


def pieces(found: Found, notes: set[str]) -> Iterator[Piece]:
    """The file's pieces in order, in bounded memory. Adds to ``notes`` what is worth telling.

    Raises FileRefused, at once or after pieces that then count for nothing: a file is landed whole
    or not at all.
    """
    if found.refusal:
        raise found.refusal
    return _READERS[found.format](found, notes)
