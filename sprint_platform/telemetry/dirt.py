"""Dirt on purpose: the faults that may befall records, and how a ledger names them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# What a pipeline is expected to do with the record (or the file) that a fault befell.
EXPECTED = {
    "dropped": "absent",
    "late": "accepted",
    "malformed": "rejected",
    "null_session_end": "rejected",
    "overlapping_session": "accepted",
    "negative_amount": "rejected",
    "clock_skew": "rejected",
    "duplicate": "duplicate",
    "out_of_order": "accepted",
    "new_column": "noted",
    "renamed_column": "refused",
}

# Schema drift: the column that files carry from some day on, with its value; and the column of
# every dataset that has another name from some day on.
NEW_COLUMN, NEW_COLUMN_SAYS = "client_version", "2.0.0"
RENAMED_COLUMN, RENAMED_TO = "player_id", "user_id"

LEDGER = pa.schema(
    [
        pa.field("fault", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        # the record's key, its parts joined by "/"; a fault of a whole file has none
        pa.field("record", pa.string()),
        # the day whose partition the record belongs to
        pa.field("event_date", pa.date32()),
        pa.field("delivered", pa.date32(), nullable=False),
        # the file's name within the landing folder, and the record's number in it, from 1
        pa.field("file", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("expected", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Befallen:
    """The records of one table that one fault befell: their keys, and where they stand in the table
    (of a duplicate, the later copy); ``rows`` is None for records that are not in it."""

    fault: str
    keys: pa.Table
    rows: npt.NDArray[np.int64] | None


@dataclass(frozen=True)
class Dirtied:
    """Records as they are delivered, in the order of the file.

    ``records`` has the contract's columns and types, any of which may be null. ``garbage`` is, by
    column and row, the text that stands in place of the value.
    """

    records: pa.Table
    garbage: dict[str, dict[int, str]]
    faults: tuple[Befallen, ...]
