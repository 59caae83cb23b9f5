"""Exports partitions as JSON, NDJSON, CSV or Parquet, in a layout that can be landed again in full.

``DIR/<dataset>/<day>/`` may be copied into ``data/landing/<other title>/`` as it is. A day is one
file, or none where it has no records; sessions as JSON are dumps, one file a session with its
players and heartbeats. The same partition gives the same bytes. Nothing here reads the database.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sprint_platform.core.errors import SprintError
from sprint_platform.core.whole_file import temporary_beside
from sprint_platform.landing.record_lines import (
    JsonLines,
    csv_header,
    csv_lines,
    id_bytes,
    in_one_piece,
    ndjson_lines,
)
from sprint_platform.places import data_dir
from sprint_platform.storage.partitions import read_manifest, read_partition
from sprint_platform.telemetry.contracts import DATASETS

# So many heartbeats of a day's session dumps are sorted at once (about 1 GB); a larger day is read
# once for each so many.
HEARTBEATS_IN_MEMORY = 4_000_000
# and this many are text at once, some 20 MB
HEARTBEATS_AS_TEXT = 100_000

# Called with the number of rows of every chunk that is written.
Watch = Callable[[int], None]


class ExportError(SprintError):
    """An export that cannot be written where it should be. The message is one line."""


@dataclass(frozen=True)
class Exported:
    """What was written. ``rows`` are the dataset's own (of session dumps: the players' parts);
    ``notes`` say what a person should know, in one line each."""

    files: int
    rows: int
    bytes: int
    notes: tuple[str, ...] = ()


def export_day(
    title: str,
    dataset: str,
    day: date,
    file_format: str,
    folder: Path,
    watch: Watch | None = None,
) -> Exported:
    """Writes one partition to ``folder/<dataset>/<day>/``, whole; where that is there, files of the
    same names are replaced one after the other, when all are written.

    Raises PartitionError where the partition is missing or damaged, and ExportError where the
    folder cannot be written or is one of the platform's own.
    """
    read_manifest(title, dataset, day, missing_ok=False)
    target = _target(folder, dataset, day.isoformat())
    if dataset == "sessions" and file_format == "json":
        return _export_dumps(title, day, target, watch)
    tables = read_partition(title, dataset, day)
    name = f"{dataset}-{day}.{file_format}"
    return _export_table(dataset, tables, target / name, file_format, watch)


def export_products(products: pa.Table, file_format: str, folder: Path) -> Exported:
    """Writes the catalogue, which has no days, to ``folder/products/catalogue/``. Raises
    ExportError as ``export_day``."""
    path = _target(folder, "products", "catalogue") / f"products.{file_format}"
    return _export_table("products", [products], path, file_format, None)


def _target(folder: Path, dataset: str, name: str) -> Path:
    for folder_name in ("raw", "landed"):
        own = data_dir() / folder_name
        if (folder / dataset).resolve().is_relative_to(own.resolve()):
            raise ExportError(
                f"{folder} lies in {own}, where the platform keeps its own files: export elsewhere"
            )
    return folder / dataset / name


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A hidden folder whose files are moved to ``target`` at the end; after an error none is.
    Landing skips hidden names: it never reads a file that is still being written."""
    try:
        with temporary_beside(target) as staging:
            staging.mkdir(parents=True)
            yield staging
            if not target.exists():
                os.replace(staging, target)
                return
            for path in sorted(staging.iterdir()):
                os.replace(path, target / path.name)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}") from error


def _export_table(
    dataset: str,
    tables: Iterable[pa.Table],
    path: Path,
    file_format: str,
    watch: Watch | None,
) -> Exported:
    rows = 0

    def watched() -> Iterator[pa.Table]:
        nonlocal rows
        for table in tables:
            yield table
            rows += table.num_rows
            if watch:
                watch(table.num_rows)

    with _staged(path.parent) as staging:
        staged = staging / path.name
        if file_format == "parquet":
            _write_parquet(staged, dataset, watched())
        else:
            with staged.open("wb") as file:
                for piece in _TEXT[file_format](dataset, watched()):
                    file.write(piece)
        size = staged.stat().st_size
        if not rows:
            # landing takes an empty file for a failed delivery
            staged.unlink()
            path.unlink(missing_ok=True)
            return Exported(0, 0, 0, (f"{path} has no records, and is not written",))
    return Exported(files=1, rows=rows, bytes=size)


def _write_parquet(path: Path, dataset: str, tables: Iterable[pa.Table]) -> None:
    """Writes the contract's columns. Times are marked as UTC; Arrow's own schema is left out, as
    older readers of Arrow cannot read it (decimal32)."""
    schema = pa.schema(
        [
            column.with_type(pa.timestamp("us", "UTC"))
            if pa.types.is_timestamp(column.type)
            else column
            for column in DATASETS[dataset].arrow_schema
        ]
    )
    with pq.ParquetWriter(path, schema, compression="snappy", store_schema=False) as writer:
        for table in tables:
            writer.write_table(table.cast(schema))


# --- files of text -------------------------------------------------------------------------------


def _csv(dataset: str, tables: Iterable[pa.Table]) -> Iterator[bytes | memoryview]:
    yield csv_header(DATASETS[dataset].arrow_schema.names)
    yield from map(csv_lines, tables)


def _ndjson(dataset: str, tables: Iterable[pa.Table]) -> Iterator[bytes | memoryview]:
    yield from map(ndjson_lines, tables)


def _json(dataset: str, tables: Iterable[pa.Table]) -> Iterator[bytes | memoryview]:
    """An array, one record a line."""
    between = b"[\n"
    for table in tables:
        if table.num_rows:
            yield between
            yield JsonLines(table, ",\n").of(0, table.num_rows)
            between = b",\n"
    yield b"[]\n" if between == b"[\n" else b"\n]\n"


_TEXT = {"csv": _csv, "ndjson": _ndjson, "json": _json}


# --- session dumps -------------------------------------------------------------------------------


def _export_dumps(title: str, day: date, target: Path, watch: Watch | None) -> Exported:
    """Writes one file a session: its start and end, its players, and its heartbeats of that day."""
    beats = read_manifest(title, "heartbeats", day)
    if beats is not None and beats.pruned:
        beats = None
    shares = math.ceil(beats.rows / HEARTBEATS_IN_MEMORY) if beats and beats.rows else 1
    files = rows = size = written = 0
    with _staged(target) as staging:
        for share in range(shares):
            sessions = _share(title, "sessions", day, share, shares)
            heartbeats = _share(title, "heartbeats", day, share, shares)
            for session, pieces, players, beaten in _dumps(sessions, heartbeats):
                with (staging / f"{session}.json").open("wb") as file:
                    size += sum(file.write(piece) for piece in pieces)
                files, rows, written = files + 1, rows + players, written + beaten
                if watch:
                    watch(players)
    notes = []
    if beats is None:
        notes.append(f"{day} has no partition of heartbeats: the sessions' files hold none")
    elif beats.rows > written:
        notes.append(
            f"{day}: {beats.rows - written:,} heartbeats are in no file, as their session has"
            " no record"
        )
    older = sum(1 for _ in target.glob("*.json")) - files
    if older:
        notes.append(f"{target} holds {older:,} files of an earlier export too")
    return Exported(files, rows, size, tuple(notes))


def _share(title: str, dataset: str, day: date, share: int, shares: int) -> pa.Table:
    """The day's records of one share of the sessions, ordered by session, then sessions by player
    and heartbeats by time. Empty where there is no partition."""
    tables = [DATASETS[dataset].arrow_schema.empty_table()]
    manifest = read_manifest(title, dataset, day)
    if manifest is not None and not manifest.pruned:
        for table in read_partition(title, dataset, day):
            if shares > 1:
                # the last bytes differ in ids of every kind, also in counted ones
                last = id_bytes(in_one_piece(table["session_id"]))[:, 8:].copy().view(">u8")[:, 0]
                table = table.filter(pa.array(last % shares == share))
            tables.append(table)
    records = pa.concat_tables(tables)
    then = ["player_id"] if dataset == "sessions" else ["event_datetime", "player_id"]
    keys = {name: in_one_piece(records[name]) for name in ("session_id", *then)}
    order = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
    return records.take(order).combine_chunks()


def _dumps(
    sessions: pa.Table, heartbeats: pa.Table
) -> Iterator[tuple[UUID, list[bytes | memoryview], int, int]]:
    """For each session its id, the pieces of its file, and how many players and heartbeats are in
    it. Both tables are ordered by session."""
    players_of, beats_of = _spans(sessions), _spans(heartbeats)
    heads = JsonLines(_heads(sessions, [first for first, _ in players_of.values()]), ",\n")
    players = JsonLines(sessions.drop_columns("session_id"), ",\n")
    heartbeats = heartbeats.drop_columns("session_id")
    # neighbours become text together: one call a session would take most of the time
    beats, start, stop = JsonLines(heartbeats[:0], ",\n"), 0, 0
    for number, (session, (part, last_part)) in enumerate(players_of.items()):
        beat, last_beat = beats_of.get(session, (start, start))
        if last_beat > stop:
            start, stop = beat, max(last_beat, beat + HEARTBEATS_AS_TEXT)
            beats = JsonLines(heartbeats[start:stop], ",\n")
        pieces: list[bytes | memoryview] = [
            heads.of(number, number + 1)[:-1],
            b',"players":[\n',
            players.of(part, last_part),
            b'\n],"heartbeats":[\n',
            beats.of(beat - start, last_beat - start),
            b"\n]}\n",
        ]
        yield UUID(bytes=session), pieces, last_part - part, last_beat - beat


def _spans(records: pa.Table) -> dict[bytes, tuple[int, int]]:
    """The rows [first, last) of each session of records that are ordered by session."""
    ids = id_bytes(in_one_piece(records["session_id"]))
    changes = np.flatnonzero((ids[1:] != ids[:-1]).any(axis=1)) + 1
    bounds = [0, *changes.tolist(), len(ids)] if len(ids) else []
    return {ids[a].tobytes(): (a, b) for a, b in pairwise(bounds)}


def _heads(sessions: pa.Table, firsts: list[int]) -> pa.Table:
    """The head of each session's file: its id, its players' first start and last end."""
    first = np.array(firsts, np.int64)
    micros = pa.timestamp("us")
    starts = sessions["started_at"].to_numpy().astype("M8[us]").astype(np.int64)
    ends = sessions["event_datetime"].to_numpy().astype("M8[us]").astype(np.int64)
    return pa.table(
        {
            "session_id": sessions["session_id"].take(pa.array(first)),
            "start_time": pa.array(np.minimum.reduceat(starts, first), micros),
            "end_time": pa.array(np.maximum.reduceat(ends, first), micros),
        }
    )
