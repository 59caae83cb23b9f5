"""Parquet files as chunks: batches of the columns that the title wants, in their own types."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sprint_platform.landing.chunks import Chunk, Piece
from sprint_platform.landing.columns import choose
from sprint_platform.landing.files import FileRefused, Found, unreadable
from sprint_platform.landing.raw_columns import is_bytes, is_text, value_type
from sprint_platform.landing.streams import PARQUET_MAGIC, cut_off, seekable

BATCH_ROWS = 524_288
BATCH_BYTES = 128 * 2**20
BOMB_ROWS_PER_BYTE = 64
# What pyarrow raises for damaged files, besides its own exceptions.
DAMAGE = (
    pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError,
    MemoryError, NotImplementedError,
)  # fmt: skip


def parquet_pieces(found: Found, _: set[str]) -> Iterator[Piece]:
    """The file's batches. Raises FileRefused."""
    with seekable(found) as file:
        try:
            size = _whole(file)
            table_file, names = _open(file, size)
            instants = _instants(table_file) if found.mapping.int96 == "utc" else frozenset()
            chosen = choose(found.mapping, found.dataset, names)
            wanted = [names[index] for index in sorted(set(chosen.values()))]
            unread = tuple(name for index, name in enumerate(names) if index not in chosen.values())
            metadata = table_file.metadata
            if not metadata.num_rows:
                empty = table_file.schema_arrow.empty_table().select(wanted)
                yield _piece(found.dataset, empty, unread)
                return
            # a small buffer: row groups of other writers may be gigabytes
            batches = table_file.iter_batches(_batch_rows(metadata), columns=wanted)
            while (batch := next(batches, None)) is not None:
                table = _in_utc(pa.Table.from_batches([batch]), instants)
                yield _piece(found.dataset, table, unread)
        except pa.ArrowNotImplementedError as error:
            raise FileRefused(
                "not_supported",
                f"it is Parquet that is not read here ({str(error).splitlines()[0][:200]}): write"
                " it with other encodings or types",
            ) from error
        except DAMAGE as error:
            raise unreadable(error) from error


def _whole(file: BinaryIO) -> int:
    """The file's size. Raises FileRefused unless it begins and ends as Parquet does."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    begin = file.read(4)
    if not begin:
        raise FileRefused("empty_file", "it has no bytes")
    if begin != PARQUET_MAGIC and not (size < 4 and PARQUET_MAGIC.startswith(begin)):
        raise FileRefused("not_its_format", "it does not begin as a Parquet file does")
    file.seek(max(0, size - 4))
    if size < 12 or file.read(4) != PARQUET_MAGIC:
        raise cut_off()
    file.seek(0)
    return size


def _open(file: BinaryIO, size: int) -> tuple[pq.ParquetFile, list[str]]:
    options = {
        "buffer_size": 1 << 20, "pre_buffer": False, "page_checksum_verification": True,
        # nanoseconds hold no year after 2262
        "coerce_int96_timestamp_unit": "us",
    }  # fmt: skip
    first = pq.ParquetFile(file, **options)
    if first.metadata.num_rows > BOMB_ROWS_PER_BYTE * size:
        raise FileRefused(
            "decompression_bomb",
            f"its {size:,} bytes hold {first.metadata.num_rows:,} rows: that is no telemetry",
        )
    schema = first.schema_arrow
    # texts stay dictionary-encoded: faster, and a long text is not repeated for each row
    encoded = [f.name for f in schema if is_text(f.type) or _is_variable_bytes(f.type)]
    delta = _delta_encoded(first.metadata)
    return pq.ParquetFile(
        file,
        metadata=first.metadata,
        read_dictionary=[name for name in encoded if name not in delta],
        **options,
    ), schema.names


def _delta_encoded(metadata: pq.FileMetaData) -> set[str]:
    """The columns whose texts some row group has as differences, which Arrow reads as texts
    alone."""
    return {
        column.path_in_schema
        for group in map(metadata.row_group, range(metadata.num_row_groups))
        for column in map(group.column, range(group.num_columns))
        if any(encoding.startswith("DELTA") for encoding in column.encodings)
    }


def _instants(file: pq.ParquetFile) -> frozenset[str]:
    """The columns of INT96, which Spark, Hive and Impala write in UTC."""
    columns = map(file.schema.column, range(len(file.schema)))
    return frozenset(column.path for column in columns if column.physical_type == "INT96")


def _in_utc(table: pa.Table, instants: frozenset[str]) -> pa.Table:
    for index, name in enumerate(table.column_names):
        if name in instants:
            table = table.set_column(index, name, table[name].cast(pa.timestamp("us", "UTC")))
    return table


def _is_variable_bytes(type_: pa.DataType) -> bool:
    return is_bytes(type_) and not pa.types.is_fixed_size_binary(type_)


def _batch_rows(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    widest = max((g.total_byte_size // max(1, g.num_rows) for g in groups), default=0)
    return max(1024, min(BATCH_ROWS, BATCH_BYTES // max(1, widest)))


def _piece(dataset: str, table: pa.Table, unread: tuple[str, ...]) -> Piece:
    def parse() -> list[Chunk]:
        _check(table)
        return [Chunk(dataset, table, np.arange(table.num_rows), table.num_rows, (), unread)]

    return Piece(parse)


def _check(table: pa.Table) -> None:
    """Refuses damaged columns, and texts that are not UTF-8, which Arrow reads without a check."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_primitive(value_type(column.type)):
            continue
        try:
            column.validate(full=True)
        except pa.ArrowException as error:
            if is_text(value_type(column.type)):
                raise FileRefused(
                    "not_utf8", f"column {name} has text that is not UTF-8"
                ) from error
            raise unreadable(error) from error
