"""Deliveries: the files that a dirtied title puts into the landing folder on a day, and the ledger
of what is wrong with them.

``data/landing/<title>/<dataset>/delivered=<day>/<dataset>.<csv|ndjson|parquet>`` holds what was
delivered that day. ``data/truth/<title>/delivered=<day>.parquet`` is the day's ledger, one row a
fault; it is written after the files, and lists them in its metadata. Delivering a day again writes
the same bytes and leaves a file that has them alone, so nothing new lands.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sprint_platform.core.errors import SprintError
from sprint_platform.core.whole_file import temporary_beside, whole_file
from sprint_platform.landing.files import content_digest, landing_dir
from sprint_platform.landing.record_lines import csv_header, csv_lines, ndjson_lines, text_of
from sprint_platform.places import data_dir
from sprint_platform.telemetry.dirt import (
    EXPECTED,
    LEDGER,
    NEW_COLUMN,
    NEW_COLUMN_SAYS,
    RENAMED_COLUMN,
    RENAMED_TO,
    Befallen,
    Dirtied,
)
from sprint_platform.title import Faults, Title

_FORMATS = ("csv", "ndjson", "parquet")
_FILES = b"files"  # the ledger's metadata: the day's files as JSON


class DeliveryError(SprintError):
    """A delivery that cannot be made, or is not as its ledger says. The message is one line."""


@dataclass(frozen=True)
class DeliveredFile:
    """One file of a delivery; ``name`` is relative to the title's landing folder."""

    dataset: str
    name: str
    rows: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class Delivery:
    """What was delivered on a day: files (names within the landing folder), and faults by kind."""

    files: tuple[str, ...]
    rows: int
    faults: dict[str, int]
    bytes: int


def write_delivery(
    title: Title, day: date, datasets: Mapping[str, Iterable[tuple[date, Dirtied]]]
) -> Delivery:
    """Writes the day's files and then its ledger. ``datasets`` has, for each dataset, the records
    in the file's order, each table with the day that its records belong to.

    A dataset without records has no file. Raises DeliveryError where the day was delivered in
    another format: landed files stay in the register, so every record would land twice.
    """
    assert title.faults is not None
    files, ledger = [], [LEDGER.empty_table()]
    for dataset in datasets:
        _check_format(title, dataset, day)
    for dataset, tables in datasets.items():
        with _File(title, dataset, day) as file:
            for event_date, dirtied in tables:
                first = file.write(dirtied)
                ledger += [_entries(file, event_date, first, fault) for fault in dirtied.faults]
            delivered = file.close()
        if delivered:
            files.append(delivered)
            ledger += _drift(title.faults, delivered, day)
    faults = pa.concat_tables(ledger).combine_chunks()
    _write_ledger(title.name, day, faults, files)
    return Delivery(
        files=tuple(file.name for file in files),
        rows=sum(file.rows for file in files),
        faults=dict(sorted(Counter(faults["fault"].to_pylist()).items())),
        bytes=sum(file.bytes for file in files),
    )


def delivered_days(title: str) -> list[date]:
    """The days that have been delivered, ascending."""
    found = sorted(ledger_path(title, date.min).parent.glob("delivered=????-??-??.parquet"))
    return [date.fromisoformat(path.stem.removeprefix("delivered=")) for path in found]


def delivered_files(title: str, day: date) -> list[DeliveredFile]:
    """The day's files as its ledger lists them. Raises DeliveryError where there is no ledger."""
    path = ledger_path(title, day)
    try:
        listed = pq.read_schema(path).metadata[_FILES]
    except FileNotFoundError as error:
        raise DeliveryError(f"{title} delivered nothing on {day}: there is no {path}") from error
    except (pa.ArrowException, KeyError, TypeError) as error:
        raise DeliveryError(f"{path} is damaged: deliver {title} for {day} again") from error
    return [DeliveredFile(**file) for file in json.loads(listed)]


def ledger_path(title: str, day: date) -> Path:
    """The ledger of one delivery day."""
    return data_dir() / "truth" / title / f"delivered={day.isoformat()}.parquet"


def renamed_is_mapped(title: Title, dataset: str) -> bool:
    """Whether the title's mapping knows the name that the renamed column gets in the dataset."""
    names = title.landing_settings.mapping.columns.get(dataset, {}).get(RENAMED_COLUMN, ())
    return RENAMED_TO in ((names,) if isinstance(names, str) else names)


class _File:
    """One file of a delivery under a temporary name, renamed into place when it is closed."""

    def __init__(self, title: Title, dataset: str, day: date) -> None:
        assert title.faults is not None
        self.title, self.dataset, self.day = title, dataset, day
        self.format, self.rows = title.faults.format, 0
        self.name = _name(dataset, day, self.format)
        self._path = landing_dir(title.name) / self.name
        self._adds = _since(title.faults.new_column_from, day)
        self._renames = _since(title.faults.renamed_column_from, day)
        self._text: BinaryIO | None = None
        self._parquet: pq.ParquetWriter | None = None
        self._end = ExitStack()

    def __enter__(self) -> _File:
        # a landing looks at no name that begins with a dot
        self._temporary = self._end.enter_context(temporary_beside(self._path))
        self._end.callback(self._close_writers)
        return self

    def write(self, dirtied: Dirtied) -> int:
        """Appends the records; returns how many stood before them."""
        before, records = self.rows, dirtied.records
        if not records.num_rows:
            return before
        if self._adds:
            added = pa.array([NEW_COLUMN_SAYS] * records.num_rows, pa.string())
            records = records.append_column(NEW_COLUMN, added)
        if self._renames:
            records = records.rename_columns({RENAMED_COLUMN: RENAMED_TO})
        if self.format == "parquet":
            self._write_parquet(records)
        else:
            self._write_text(records, dirtied.garbage)
        self.rows += records.num_rows
        return before

    def _write_parquet(self, records: pa.Table) -> None:
        if self._parquet is None:
            self._temporary.parent.mkdir(parents=True, exist_ok=True)
            self._parquet = pq.ParquetWriter(self._temporary, records.schema, compression="zstd")
        self._parquet.write_table(records)

    def _write_text(self, records: pa.Table, garbage: dict[str, dict[int, str]]) -> None:
        if self._text is None:
            self._temporary.parent.mkdir(parents=True, exist_ok=True)
            self._text = self._temporary.open("wb")
            if self.format == "csv":
                self._text.write(csv_header(records.column_names))
        # garbage is by the contract's names: a renamed column is an id, which is never broken
        lines = csv_lines if self.format == "csv" else ndjson_lines
        self._text.write(lines(records, garbage))

    def close(self) -> DeliveredFile | None:
        """Puts the file into its place. None, and no file, where nothing was written."""
        if not self.rows:
            self._path.unlink(missing_ok=True)
            return None
        self._close_writers()
        digest = content_digest(self._temporary)
        # a file that has these bytes stays, with its times: a sensor sees nothing new
        if not (self._path.is_file() and content_digest(self._path) == digest):
            os.replace(self._temporary, self._path)
        size = self._path.stat().st_size
        return DeliveredFile(self.dataset, self.name, self.rows, size, digest)

    def _close_writers(self) -> None:
        if self._text is not None:
            self._text.close()
        if self._parquet is not None:
            self._parquet.close()
        self._text = self._parquet = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.close()


def _name(dataset: str, day: date, format: str) -> str:
    return f"{dataset}/delivered={day.isoformat()}/{dataset}.{format}"


def _since(first: date | None, day: date) -> bool:
    return first is not None and day >= first


def _check_format(title: Title, dataset: str, day: date) -> None:
    assert title.faults is not None
    for other in _FORMATS:
        name = _name(dataset, day, other)
        if other != title.faults.format and (landing_dir(title.name) / name).exists():
            raise DeliveryError(
                f"{landing_dir(title.name)} holds {name}, but faults.format is now"
                f" {title.faults.format}: every record would land twice; move data/landing/"
                f"{title.name} and data/landed/{title.name} away, or keep the format"
            )


def _entries(file: _File, event_date: date, first: int, befallen: Befallen) -> pa.Table:
    """The ledger's rows of one fault in a table of which ``first`` records stand before it."""
    parts = [text_of(column) for column in befallen.keys.columns]
    in_file = befallen.rows is not None
    count = befallen.keys.num_rows
    row = first + 1 + befallen.rows if befallen.rows is not None else np.zeros(count, np.int64)
    return _ledger_rows(
        count,
        fault=befallen.fault,
        dataset=file.dataset,
        record=pc.binary_join_element_wise(*parts, "/") if len(parts) > 1 else parts[0],
        event_date=event_date,
        delivered=file.day,
        file=file.name if in_file else None,
        row=pa.array(row, mask=np.full(count, not in_file)),
        expected=EXPECTED[befallen.fault],
    )


def _drift(faults: Faults, file: DeliveredFile, day: date) -> list[pa.Table]:
    found = []
    for fault, first in (
        ("new_column", faults.new_column_from),
        ("renamed_column", faults.renamed_column_from),
    ):
        if _since(first, day):
            found.append(
                _ledger_rows(
                    1,
                    fault=fault,
                    dataset=file.dataset,
                    record=None,
                    event_date=None,
                    delivered=day,
                    file=file.name,
                    row=None,
                    expected=EXPECTED[fault],
                )
            )
    return found


def _ledger_rows(count: int, **columns: object) -> pa.Table:
    arrays = []
    for field in LEDGER:
        value = columns[field.name]
        if not isinstance(value, pa.Array):
            value = pa.array([value], field.type).take(pa.array(np.zeros(count, np.int64)))
        arrays.append(value)
    return pa.Table.from_arrays(arrays, schema=LEDGER)


def _write_ledger(title: str, day: date, ledger: pa.Table, files: list[DeliveredFile]) -> None:
    path = ledger_path(title, day)
    listed = json.dumps([asdict(file) for file in files]).encode()
    with whole_file(path) as temporary:
        pq.write_table(
            ledger.replace_schema_metadata({_FILES: listed}), temporary, compression="zstd"
        )
