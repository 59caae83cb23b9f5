"""What readers return: pieces of a file, each parsed into chunks of raw columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

RECORD_LIMIT = 4096


@dataclass(frozen=True)
class Broken:
    """A record that has no columns. ``row`` is its 0-based number within the piece."""

    row: int
    reason: str
    record: str


@dataclass(frozen=True)
class Chunk:
    """Records of one dataset in one piece: their raw columns, under the file's own names.

    Text formats give texts (null: empty or absent), Parquet its own types. ``rows`` are the
    0-based numbers of the table's records within the piece, ``records`` counts the broken ones
    too, and ``unread`` names columns of the file that nothing maps and that were left in it.
    """

    dataset: str
    table: pa.Table
    rows: npt.NDArray[np.int64]
    records: int
    broken: tuple[Broken, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Piece:
    """A part of a file that is parsed on its own, in any thread."""

    parse_it: Callable[[], list[Chunk]]

    def parse(self) -> list[Chunk]:
        """The piece's records, at most one chunk per dataset. Raises FileRefused."""
        return self.parse_it()


def shortened(record: str) -> str:
    """A record's text as it is stored with its reject."""
    return record if len(record) <= RECORD_LIMIT else record[: RECORD_LIMIT - 1] + "…"
