"""CSV files as chunks: UTF-8, a header, one record a line (or more, where values are quoted)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pv

from sprint_platform.landing.chunks import Broken, Chunk, Piece
from sprint_platform.landing.columns import squash
from sprint_platform.landing.files import FileRefused, Found
from sprint_platform.landing.streams import cut_off, opened
from sprint_platform.landing.text_blocks import BYTE_ORDER_MARK, text_blocks

DELIMITERS = ",;\t"
MOST_COLUMNS = 4096
_MARK_BYTE = b"\xee"
_QUOTE, _NEWLINE = ord('"'), ord("\n")
# bytes that are no UTF-8, as surrogateescape writes them
_STRAY = re.compile("[\udc80-\udcff]")
# possessive: a doubled quote is never given back as the closing one
_QUOTED = re.compile(rb'"(?:[^"]|"")*+"')


def csv_pieces(found: Found, notes: set[str]) -> Iterator[Piece]:
    """The file's blocks. Raises FileRefused."""
    header: list[str] = []
    delimiter = ","
    last = b""

    # what the name says, or else what the first line has most of
    known = "\t" if found.format == "tsv" else DELIMITERS

    def last_end(block: bytes) -> int:
        # the first block is cut before its header is read
        return last_record_end(block, delimiter if header else _delimiter(block, known))

    with opened(found) as stream:
        for block in text_blocks(stream, found, notes, last_end):
            if not header:
                block = block.lstrip(b"\r\n")
                if not block:
                    continue
                end = _header_end(block)
                header, delimiter = _header(block[:end], known)
                block = block[end:]
            last = block
            yield _piece(found.dataset, block, header, delimiter)
    if not header:
        raise FileRefused("empty_file", "it has no line")
    _refuse_half(last[last_record_end(last, delimiter) :], len(header), delimiter)


def _piece(dataset: str, block: bytes, header: list[str], delimiter: str) -> Piece:
    return Piece(lambda: [parse(dataset, block, header, delimiter)])


def _header_end(block: bytes) -> int:
    end = re.search(rb"\r\n|\n|\r", block)
    return end.end() if end else len(block)


def _header(line: bytes, known: str) -> tuple[list[str], str]:
    """The names of the columns, and the delimiter."""
    try:
        text = line.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError as error:
        raise FileRefused(
            "not_utf8",
            "its header is not UTF-8: write the file so, or let landing.read say its encoding",
        ) from error
    if text.lstrip().startswith(("{", "[")):
        raise FileRefused("not_its_format", "it is JSON: its name must end in .ndjson or .json")
    delimiter = _delimiter(line, known)
    names = _last_values(text, delimiter)
    if not any(squash(name) for name in names) or len(names) > MOST_COLUMNS:
        raise FileRefused("wrong_header", f"its first line names {len(names)} columns: {text[:80]}")
    return names, delimiter


def _delimiter(block: bytes, known: str) -> str:
    """The most frequent of the ``known`` delimiters in the first line, outside of quotes."""
    block = block.lstrip(b"\r\n")
    outside = re.sub(rb'"[^"]*"', b"", block[: _header_end(block)])
    return max(known, key=lambda delimiter: outside.count(delimiter.encode()))


def _last_values(text: str, delimiter: str) -> list[str]:
    """The values of the text's last record."""
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[-1]
    except (csv.Error, IndexError):  # a value longer than the module reads
        return text.split(delimiter)


def _refuse_half(record: bytes, columns: int, delimiter: str) -> None:
    """Refuses the file when its last record, which has no end, was not written whole."""
    if _open_quote(record, 0, len(record), delimiter) >= 0:
        raise FileRefused("half_written", f"a quote does not close: {record[:80]!r}")
    if record and not record.endswith((b"\n", b"\r")):
        values = _last_values(record.decode("utf-8", "replace"), delimiter)
        if len(values) < columns:
            raise cut_off()


def last_record_end(block: bytes, delimiter: str) -> int:
    """The end of the last whole record of a block, which begins with a record; 0: there is none."""
    end = block.rfind(b"\n") + 1
    if not end or block.find(b'"', 0, end) < 0:
        return end
    letters = np.frombuffer(block, np.uint8, end)
    ends = np.flatnonzero(letters == _NEWLINE) + 1
    starts = np.concatenate([[0], ends[:-1]])
    # xor gives the parity, many times faster than a sum
    odd = np.flatnonzero(np.bitwise_xor.reduceat((letters == _QUOTE).view(np.uint8), starts))
    return _last_outside(block, delimiter, starts, ends, odd)


def _last_outside(
    block: bytes, delimiter: str, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64],
    odd: npt.NDArray[np.int64],
) -> int:  # fmt: skip
    """The last line end outside of quoted values. ``odd`` are the lines with an odd number of
    quotes: where every quote is written as it should be, a value that has line ends in it begins
    and ends in such lines."""
    opened_in = -1  # the line in which a value began that is still open
    place = 0
    for line in odd.tolist():
        if opened_in < 0:
            place = int(starts[line])
        place = _open_quote(block, place, int(ends[line]), delimiter)
        if place < 0:
            opened_in = -1
        elif opened_in < 0:
            opened_in = line
    return int(ends[-1]) if opened_in < 0 else int(starts[opened_in])


def _open_quote(text: bytes, place: int, end: int, delimiter: str) -> int:
    """The start of the quoted value that is still open at the end, or -1. Quotes count only where
    a value begins; elsewhere they are letters."""
    while True:
        if text[place : place + 1] == b'"':
            closed = _QUOTED.match(text, place, end)
            if closed is None:
                return place
            place = closed.end()
        place = text.find(delimiter.encode(), place, end) + 1
        if not place:
            return -1


def parse(dataset: str, block: bytes, header: list[str], delimiter: str) -> Chunk:
    """A block of records as texts; lines without a record are skipped."""
    block, mark = _as_utf8(block)
    broken: list[tuple[int, str]] = []

    def skip(row: pv.InvalidRow) -> str:
        broken.append((row.number - 1, row.text))
        return "skip"

    if block.startswith(BYTE_ORDER_MARK):
        block = b"\n" + block  # inside of a file it is a letter, which the parser would skip
    names = [str(index) for index in range(len(header))]
    if block.lstrip(b"\r\n"):
        table = pv.read_csv(
            pa.BufferReader(block),
            # one thread: only then are rows numbered
            pv.ReadOptions(use_threads=False, column_names=names, block_size=len(block) + 1),
            pv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
            pv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
                check_utf8=False,
            ),
        )
    else:
        table = pa.table([pa.array([], pa.string()) for _ in names], names=names)
    records = table.num_rows + len(broken)
    rows = np.arange(records)
    if broken:
        rows = np.delete(rows, [row for row, _ in broken])
    reasons = [Broken(row, "wrong_column_count", text) for row, text in broken]
    if mark:
        table, rows, reasons = _without_marked(table, rows, reasons, mark, delimiter)
    return Chunk(dataset, table.rename_columns(header), rows, records, tuple(reasons))


def _as_utf8(block: bytes) -> tuple[bytes, str]:
    """The block, with each byte that is not UTF-8 as a mark and two hexadecimal digits, and the
    mark: a letter that the block does not have, empty where all of it is UTF-8."""
    try:
        if not block.isascii():
            block.decode("utf-8")
        return block, ""
    except UnicodeDecodeError:
        pass
    # letters for private use, which all begin with one byte; that one is searched for fast
    marks = map(chr, range(0xE000, 0xF000))
    mark = next(m for m in marks if _MARK_BYTE not in block or m.encode() not in block)
    # line by line: an error of the whole block would cost a copy of it each time
    parts: list[bytes] = []
    done = 0
    for place in np.flatnonzero(np.frombuffer(block, np.uint8) > 0x7F).tolist():
        if place >= done:
            end = block.find(b"\n", place)
            end = len(block) if end < 0 else end
            text = block[place:end].decode("utf-8", "surrogateescape")
            text = _STRAY.sub(lambda byte: f"{mark}{ord(byte[0]) & 0xFF:02x}", text)
            parts += [block[done:place], text.encode("utf-8")]
            done = end
    return b"".join([*parts, block[done:]]), mark


def _without_marked(
    table: pa.Table, rows: npt.NDArray[np.int64], broken: list[Broken], mark: str, delimiter: str
) -> tuple[pa.Table, npt.NDArray[np.int64], list[Broken]]:
    """The records without those that were not UTF-8, which are added to the broken ones."""
    marked = np.zeros(table.num_rows, np.bool_)
    for column in table.columns:
        marked[_rows_with(mark, column.combine_chunks())] = True
    found = table.filter(pa.array(marked)).to_pylist()
    texts = [delimiter.join(value or "" for value in record.values()) for record in found]
    all_broken = [
        Broken(b.row, "not_utf8" if mark in b.record else b.reason, b.record.replace(mark, "\\x"))
        for b in broken
    ] + [
        Broken(row, "not_utf8", text.replace(mark, "\\x"))
        for row, text in zip(rows[marked].tolist(), texts, strict=True)
    ]
    all_broken.sort(key=lambda record: record.row)
    return table.filter(pa.array(~marked)), rows[~marked], all_broken


def _rows_with(mark: str, column: pa.StringArray) -> npt.NDArray[np.int64]:
    """The rows whose text has the mark: a search of all texts at once."""
    if column.buffers()[2] is None:
        return np.zeros(0, np.int64)
    letters = np.frombuffer(column.buffers()[2], np.uint8)
    places = np.flatnonzero(letters[:-2] == _MARK_BYTE[0])
    for shift, byte in enumerate(mark.encode()):
        places = places[letters[places + shift] == byte]
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset :][: len(column) + 1]
    return np.unique(np.searchsorted(offsets, places, side="right") - 1)
