"""Intake: one file of the landing folder, read and checked, into staged files and the register."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa

from sprint_platform.core.ahead import Ahead
from sprint_platform.core.cores import cores
from sprint_platform.landing.chunks import Chunk, Piece
from sprint_platform.landing.conform import Conformed, conform, staged_schema
from sprint_platform.landing.csv_reading import csv_pieces
from sprint_platform.landing.files import FileRefused, Found, unreadable
from sprint_platform.landing.forgotten import NOBODY, Forgotten
from sprint_platform.landing.json_reading import json_pieces, ndjson_pieces
from sprint_platform.landing.parquet_reading import parquet_pieces
from sprint_platform.landing.register import ROWS_AT_ONCE, Entries, registered
from sprint_platform.landing.select_reading import select_pieces
from sprint_platform.landing.staging import (
    Batch,
    StagedWriter,
    staged_path,
)
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

# Pieces that are parsed at once, one on each core; each holds a block of text and its records: more
# than this many would take the memory that a large file must not.
MOST_WORKERS = 8
CHUNKS_OF_IDS = 32
READERS: dict[str, Callable[[Found, set[str]], Iterator[Piece]]] = {
    "csv": csv_pieces,
    "tsv": csv_pieces,
    "ndjson": ndjson_pieces,
    "jsonl": ndjson_pieces,
    "json": json_pieces,
    "parquet": parquet_pieces,
}


@dataclass
class _Tally:
    rows_read: int = 0
    rejected: int = 0
    forgotten: int = 0


@dataclass
class Intake:
    """What one file holds: records read and rejected by dataset, its staged batches, the ids that
    it names, and notes for the report."""

    file_no: int
    tallies: dict[str, _Tally] = field(default_factory=dict)
    batches: dict[str, list[Batch]] = field(default_factory=dict)
    mentions: list[pa.Table] = field(default_factory=list)
    ids: list[pa.Table] = field(default_factory=list)
    rejects: list[pa.Table] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)


class Reading:
    """A file that is read and checked from now on, some pieces ahead of the caller: the next file
    is read while one is taken in."""

    def __init__(self, title: Title, found: Found, forgotten: Forgotten = NOBODY) -> None:
        self.notes: set[str] = set()
        self.chunks = Ahead(_conformed(title, found, self.notes, forgotten))


def take_in(
    entries: Entries,
    title: Title,
    reading: Reading,
    file_no: int,
    key: str,
    watch: Callable[[str, int], None] | None = None,
) -> Intake:
    """Stages a file's records, and returns what ``enter`` adds to the register.

    Raises FileRefused when the file cannot be read as a whole; nothing of it is left then."""
    intake = Intake(file_no, notes=reading.notes)
    derived = "sessions" not in title.landing_settings.datasets
    spilled = False
    try:
        with ExitStack() as stack:
            writers: dict[str, StagedWriter] = {}

            def write(dataset: str, records: pa.Table) -> list[pa.RecordBatch]:
                if dataset not in writers:
                    path = staged_path(title.name, key, dataset)
                    schema = staged_schema(title, dataset)
                    writers[dataset] = stack.enter_context(StagedWriter(path, schema, dataset))
                return writers[dataset].write(records)

            for chunk, conformed in reading.chunks:
                if chunk.dataset not in title.landing_settings.datasets:
                    continue  # a session dump's sessions, where they are derived from heartbeats
                tally = intake.tallies.setdefault(chunk.dataset, _Tally())
                intake.rejects += _rejects(
                    file_no, chunk.dataset, conformed.rejected, tally.rows_read
                )
                records = _numbered(conformed.records, tally.rows_read)
                tally.rows_read += chunk.records
                tally.rejected += conformed.rejected.num_rows
                tally.forgotten += conformed.forgotten
                if conformed.ignored_columns:
                    names = ", ".join(conformed.ignored_columns)
                    intake.notes.add(f"columns that nothing maps were ignored: {names}")
                intake.ids = with_ids(intake.ids, conformed.source_ids)
                batches = write(chunk.dataset, records)
                if derived and chunk.dataset == "heartbeats":
                    records = pa.concat_tables(
                        [
                            staged_schema(title, "sessions").empty_table(),
                            *(_spans(title, batch) for batch in batches),
                        ]
                    )
                    write("sessions", records)
                    intake.mentions += _mentions(file_no, records, "sessions")
                else:
                    intake.mentions += _mentions(file_no, records, chunk.dataset)
                # a large file of many sessions, or of nothing but rejects, must not be held whole
                for table, parts in (("mentions", intake.mentions), ("rejected", intake.rejects)):
                    if sum(part.num_rows for part in parts) > ROWS_AT_ONCE:
                        _hand_over(entries, table, parts)
                        spilled = True
                if watch:
                    watch(f"{title.name}/{chunk.dataset}", chunk.records)
    except FileRefused:
        if spilled:
            entries.flush()
            for table in ("mentions", "rejected"):
                entries.con.execute(f"delete from {table} where file_no = ?", [file_no])
        raise
    if left_out := sum(tally.forgotten for tally in intake.tallies.values()):
        intake.notes.add(f"{left_out} records of players who were forgotten were left out")
    intake.batches = {dataset: writer.batches for dataset, writer in writers.items()}
    # the largest parts at once, as a landing may have many files
    _hand_over(entries, "mentions", intake.mentions)
    _hand_over(entries, "rejected", intake.rejects)
    return intake


def enter(entries: Entries, intakes: list[Intake]) -> None:
    """Adds what the files hold to the register."""
    records = [
        (intake.file_no, dataset, tally.rows_read - tally.forgotten, tally.rejected)
        for intake in intakes
        for dataset, tally in intake.tallies.items()
    ]
    batches = [
        (intake.file_no, dataset, b.number, b.day, b.rows, b.first_at, b.last_at)
        for intake in intakes
        for dataset, of in intake.batches.items()
        for b in of
    ]
    for table, names, rows in (
        ("file_records", "file_no dataset rows_read rejected", records),
        ("batches", "file_no dataset number day rows first_at last_at", batches),
    ):
        if rows:
            columns = [pa.array(values) for values in zip(*rows, strict=True)]
            entries.add(table, pa.table(columns, names=names.split()))
    ids: list[pa.Table] = []
    for intake in intakes:
        for table_of_ids in intake.ids:
            ids = with_ids(ids, table_of_ids)
    if ids:
        with registered(entries.con, "named", pa.concat_tables(ids)):
            entries.add_selected(
                "source_ids",
                f"select distinct kind, source_id, id, {entries.landing} as landing from named"
                " where id not in (select id from source_ids)",
            )
    entries.flush()


def _hand_over(entries: Entries, table: str, parts: list[pa.Table]) -> None:
    for part in parts:
        entries.add(table, part)
    parts.clear()


def forget_file(con: duckdb.DuckDBPyConnection, file_no: int) -> None:
    """Removes a file's version from the register, except for the verdicts of its days."""
    for table in ("files", "file_records", "batches", "mentions", "rejected"):
        con.execute(f"delete from {table} where file_no = ?", [file_no])


def pieces(found: Found, notes: set[str]) -> Iterator[Piece]:
    """The file's pieces in order, in bounded memory. Adds notes for the report to ``notes``.

    Raises FileRefused, at once or after some pieces: a file is landed whole or not at all.
    """
    if found.refusal:
        raise found.refusal
    return (select_pieces if found.select else READERS[found.format])(found, notes)


def _conformed(
    title: Title, found: Found, notes: set[str], forgotten: Forgotten
) -> Iterator[tuple[Chunk, Conformed]]:
    """The file's chunks in order; they are parsed and checked in parallel."""

    def work(piece: Piece) -> list[tuple[Chunk, Conformed]]:
        try:
            return [(chunk, conform(title, chunk, forgotten)) for chunk in piece.parse()]
        except pa.ArrowException as error:
            # whatever it is, it must not stop the other files from landing
            raise unreadable(error) from error

    workers = min(cores(), MOST_WORKERS)
    with ThreadPoolExecutor(workers) as pool:
        parsing: deque[Future[list[tuple[Chunk, Conformed]]]] = deque()
        for piece in Ahead(pieces(found, notes)):
            parsing.append(pool.submit(work, piece))
            if len(parsing) > workers:
                yield from parsing.popleft().result()
        while parsing:
            yield from parsing.popleft().result()


def _numbered(records: pa.Table, before: int) -> pa.Table:
    """The records with their numbers in the file, from 1."""
    rows = np.asarray(records["row"]) + (before + 1)
    return records.set_column(0, records.schema.field(0), pa.array(rows))


def _rejects(file_no: int, dataset: str, rejected: pa.Table, before: int) -> list[pa.Table]:
    """The rejected records, numbered in the file."""
    count = rejected.num_rows
    if not count:
        return []
    rows = np.asarray(rejected["row"]) + (before + 1)
    table = rejected.set_column(0, "row", pa.array(rows))
    table = table.append_column("file_no", pa.array(np.full(count, file_no)))
    return [table.append_column("dataset", pa.repeat(dataset, count))]


def with_ids(before: list[pa.Table], new: pa.Table) -> list[pa.Table]:
    """The file's source ids so far. Chunks repeat the same ids, so they are made distinct now and
    then."""
    if not new.num_rows:
        return before
    gathered = [*before, new]
    if len(gathered) < CHUNKS_OF_IDS:
        return gathered
    table = pa.concat_tables(gathered)
    plain = table.set_column(2, "id", _storage(table["id"]))
    distinct = plain.group_by(plain.column_names).aggregate([]).combine_chunks()
    ids = pa.ExtensionArray.from_storage(pa.uuid(), distinct["id"].chunk(0))
    return [distinct.set_column(2, new.schema.field(2), ids)]


def _mentions(file_no: int, records: pa.Table, dataset: str) -> list[pa.Table]:
    """Each id of the records with its first and last time; a session's last is its latest end."""
    entity, begins = DATASETS[dataset].entity, DATASETS[dataset].time_column
    if entity is None or not records.num_rows:
        return []
    if begins is None:
        first = last = pa.array(np.zeros(records.num_rows, np.int64)).cast(pa.timestamp("us"))
    else:
        first = records[begins]
        last = records["event_datetime"] if dataset == "sessions" else first
    table = pa.table({"id": _storage(records[entity]), "first": first, "last": last})
    found = table.group_by("id").aggregate([("first", "min"), ("last", "max")])
    return [
        pa.table(
            {
                "file_no": pa.array(np.full(found.num_rows, file_no)),
                "dataset": pa.array([dataset] * found.num_rows),
                "id": pa.ExtensionArray.from_storage(pa.uuid(), found["id"].combine_chunks()),
                "first_at": found["first_min"],
                "last_at": found["last_max"],
            }
        )
    ]


def _storage(column: pa.ChunkedArray) -> pa.Array:
    """An id column as the plain bytes that Arrow can group by."""
    array = column.combine_chunks()
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _spans(title: Title, batch: pa.RecordBatch) -> pa.Table:
    """The first and last heartbeat of each player and team in a session, as staged sessions."""
    team = "team_label" if "team_label" in batch.schema.names else "team_id"
    table = pa.table(
        {
            "session_id": _storage(pa.chunked_array([batch["session_id"]])),
            "player_id": _storage(pa.chunked_array([batch["player_id"]])),
            team: batch[team],
            "at": batch["event_datetime"],
        }
    )
    spans = table.group_by(["session_id", "player_id", team]).aggregate(
        [("at", "min"), ("at", "max")]
    )
    schema = staged_schema(title, "sessions")
    columns = {
        "row": pa.array(np.zeros(spans.num_rows, np.int64)),
        "session_id": spans["session_id"].combine_chunks(),
        "player_id": spans["player_id"].combine_chunks(),
        team: spans[team].combine_chunks(),
        "started_at": spans["at_min"].combine_chunks(),
        "event_datetime": spans["at_max"].combine_chunks(),
    }
    arrays = []
    for named in schema:
        array = columns.get(named.name)
        if array is None and named.nullable:
            array = pa.nulls(spans.num_rows, named.type)
        elif array is None:
            filler = "ZZ" if named.type == pa.string() else 0
            array = pa.array([filler] * spans.num_rows, named.type)
        elif isinstance(named.type, pa.BaseExtensionType):
            array = pa.ExtensionArray.from_storage(named.type, array)
        arrays.append(array.cast(named.type) if array.type != named.type else array)
    return pa.Table.from_arrays(arrays, schema=schema)


def own_days(con: duckdb.DuckDBPyConnection, dataset: str, file_nos: list[int]) -> set[date]:
    """The days of these files' records."""
    found = con.execute(
        "select distinct day from batches where dataset = ? and file_no in (select unnest(?))",
        [dataset, file_nos],
    ).fetchall()
    return {row[0] for row in found}
