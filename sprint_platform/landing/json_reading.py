"""JSON files as chunks: NDJSON lines, arrays, and dumps of whole sessions with their heartbeats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from sprint_platform.landing.chunks import Broken, Chunk, Piece
from sprint_platform.landing.columns import names_of, squash
from sprint_platform.landing.files import FileRefused, Found
from sprint_platform.landing.streams import cut_off, opened, refuse_binary, refuse_nul
from sprint_platform.landing.text_blocks import (
    BYTE_ORDER_MARK,
    last_line_end,
    text_blocks,
)
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Mapping

# Objects take some ten times their text in memory.
BLOCK_BYTES = 8 * 2**20
DOCUMENT_BYTES = 256 * 2**20
# Records may bring columns that nothing maps; more of them than this are left out.
MOST_COLUMNS = 256

Record = dict[str, Any]


def _number(text: str) -> str:
    """A number's text, shortest where it is plain: 12.50 is 12.5 and 12.0 is 12."""
    # a long one was a float, and is not exact: that shows where it stays as it is
    if "e" in text or "E" in text or len(text.partition(".")[0]) > 15:
        return text
    return text.rstrip("0").rstrip(".")


# numbers stay texts: nothing is lost, also of an id of 20 digits
_decoder = json.JSONDecoder(parse_float=_number, parse_int=str, parse_constant=str)
# the decoder's inner function: a record of 200 letters takes half the time without its wrapping
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]
_SPACE = " \t\r\n"
# What a scanner raises: bad text, its end, and brackets deeper than Python's stack.
_NOT_JSON = (ValueError, StopIteration, RecursionError)


def ndjson_pieces(found: Found, notes: set[str]) -> Iterator[Piece]:
    """The file's blocks of lines. Raises FileRefused."""
    first = True
    last = b""
    with opened(found) as stream:
        for block in text_blocks(stream, found, notes, _last_record_end, BLOCK_BYTES):
            last = block
            if first and block.strip():
                _refuse_other_text(block)
                first = False
            yield _lines_piece(found, block)
    if first:
        raise FileRefused("empty_file", "it has no line")
    _refuse_half_line(last[last_line_end(last) :])


def _lines_piece(found: Found, block: bytes) -> Piece:
    return Piece(lambda: _chunks(found, [r for line in _lines(block) for r in _line_records(line)]))


def _last_record_end(block: bytes) -> int:
    """The end of the block's last line, or of the last record of its one line."""
    if end := last_line_end(block):
        return end
    # what is cut at the end of the block may be no UTF-8
    text, place = block.decode("utf-8", "surrogateescape"), 0
    while (start := _skip(text, place)) < len(text):
        try:
            _, place = _scan(text, start)
        except _NOT_JSON:
            break
    return len(text[:place].encode("utf-8", "surrogateescape"))


def _lines(block: bytes) -> Iterator[str | bytes]:
    """The lines that are not blank, as text where they are UTF-8."""
    try:
        for text in block.decode("utf-8").split("\n"):
            if stripped := text.strip(_SPACE):
                yield stripped
    except UnicodeDecodeError:
        for line in block.split(b"\n"):
            if stripped_line := line.strip(_SPACE.encode()):
                try:
                    yield stripped_line.decode("utf-8")
                except UnicodeDecodeError:
                    yield stripped_line


def _line_records(line: str | bytes) -> list[Record | Broken]:
    """The line's record, or all of them where one follows the other (as Firehose writes them)."""
    if isinstance(line, bytes):
        return [Broken(0, "not_utf8", line.decode("utf-8", "backslashreplace"))]
    records: list[Record | Broken] = []
    place = 0
    while place < len(line):
        try:
            value, end = _scan(line, place)
        except _NOT_JSON:
            return [*records, Broken(0, "not_json", line[place:])]
        end = _skip(line, end)
        if not isinstance(value, dict) or (end < len(line) and line[end] != "{"):
            return [*records, Broken(0, "not_json", line[place:])]
        records.append(value)
        place = end
    return records


def _refuse_half_line(line: bytes) -> None:
    """Refuses the file when its last line, which has no line end, ends within a record."""
    records = [record for text in _lines(line) for record in _line_records(text)]
    if not records or not isinstance(records[-1], Broken) or not line.lstrip().startswith(b"{"):
        return
    # a brace may close what lies within the record
    if not line.rstrip().endswith(b"}") or _lacks_its_end(records[-1].record):
        raise cut_off()


def _lacks_its_end(text: str) -> bool:
    """Whether the text is how a JSON value begins."""
    try:
        _scan(text, 0)
    except json.JSONDecodeError as error:
        return error.pos >= len(text) or error.msg.startswith("Unterminated string")
    except (StopIteration, ValueError, RecursionError):
        pass
    return False


def _refuse_other_text(block: bytes) -> None:
    """Refuses the file when no line of its first block is a JSON object."""
    if not any(isinstance(r, dict) for line in _lines(block) for r in _line_records(line)):
        raise FileRefused(
            "not_its_format",
            "no line of it is a JSON object; one document over several lines is a .json file",
        )


def json_pieces(found: Found, notes: set[str]) -> Iterator[Piece]:
    """The document's records: those of an array, or one. Raises FileRefused."""
    text = _document(found, notes)
    records: list[Record | Broken] = []
    begin = 0
    for value, end in _elements(text):
        is_record = isinstance(value, dict)
        records.append(value if is_record else Broken(0, "not_json", json.dumps(value)))
        if end - begin > BLOCK_BYTES:
            yield _records_piece(found, records)
            records, begin = [], end
    yield _records_piece(found, records)


def _records_piece(found: Found, records: list[Record | Broken]) -> Piece:
    return Piece(lambda: _chunks(found, records))


def _document(found: Found, notes: set[str]) -> str:
    parts: list[bytes] = []
    size = 0
    with opened(found) as stream:
        while part := stream.read(BLOCK_BYTES):
            if not parts:
                refuse_binary(part, found)
            refuse_nul(part)
            parts.append(part)
            size += len(part)
            if size > DOCUMENT_BYTES:
                raise FileRefused(
                    "json_too_large",
                    f"a JSON document may have {DOCUMENT_BYTES // 2**20} MiB: deliver NDJSON, one"
                    " record a line",
                )
    document = b"".join(parts)
    if document.startswith(BYTE_ORDER_MARK):
        document = document.removeprefix(BYTE_ORDER_MARK)
        notes.add("UTF-8 byte order mark skipped")
    try:
        text = document.decode("utf-8").rstrip(_SPACE)
    except UnicodeDecodeError as error:
        if error.end == len(document) and "unexpected end" in error.reason:
            raise cut_off() from error
        raise FileRefused("not_utf8", f"byte {error.start + 1:,} of it is not UTF-8") from error
    if not text:
        raise FileRefused("empty_file", "it has no text")
    return text


def _elements(text: str) -> Iterator[tuple[Any, int]]:
    """The document's objects, one or one after the other, and those of its arrays; and where each
    ends."""
    place = _skip(text, 0)
    while place < len(text):
        if text[place] not in "[{":
            raise FileRefused("not_its_format", "it is neither a JSON object nor an array of them")
        if text[place] == "{":
            value, place = _element(text, place)
            yield value, place
        else:
            place = _skip(text, place + 1)
            while text[place : place + 1] != "]":
                value, place = _element(text, place)
                yield value, place
                place = _skip(text, place)
                if text[place : place + 1] == ",":
                    place = _skip(text, place + 1)
                    if text[place : place + 1] == "]":
                        raise _no_json(text, place)
                elif text[place : place + 1] != "]":
                    raise _no_json(text, place)
            place += 1
        place = _skip(text, place)


def _skip(text: str, place: int) -> int:
    while text[place : place + 1] in (" ", "\t", "\r", "\n"):
        place += 1
    return place


def _element(text: str, place: int) -> tuple[Any, int]:
    try:
        value, end = _scan(text, place)
    except json.JSONDecodeError as error:
        raise _no_json(text, error.pos, error.msg) from error
    except StopIteration as error:
        raise _no_json(text, int(error.value)) from error
    except (ValueError, RecursionError) as error:
        raise _no_json(text, place, "brackets too deep") from error
    return value, end


def _no_json(text: str, place: int, why: str = "") -> FileRefused:
    """The refusal of a document that ends in the middle, or is no JSON."""
    closed = text[-1] == {"[": "]", "{": "}"}[text.lstrip(_SPACE)[0]]
    near_end = place >= len(text) or (not closed and place >= len(text) - 8)
    if near_end or why.startswith("Unterminated string"):
        return cut_off()
    return FileRefused("not_its_format", f"it is no JSON at character {place + 1:,}")


def _chunks(found: Found, records: list[Record | Broken]) -> list[Chunk]:
    """Records, or dumps of sessions, as chunks."""
    if found.dataset in ("sessions", "heartbeats"):
        keys = dict.fromkeys(chain.from_iterable(r for r in records if isinstance(r, dict)))
        if any(squash(key) == "heartbeats" for key in keys):
            return _dumped(found, records)
    return [_chunk(found, found.dataset, records)]


def _dumped(found: Found, records: list[Record | Broken]) -> list[Chunk]:
    """Dumps of sessions taken apart: a record per player's part, and one per heartbeat."""
    apart: dict[str, list[Record | Broken]] = {"sessions": [], "heartbeats": []}
    for record in records:
        session = _squashed(record) if isinstance(record, dict) else {}
        if isinstance(session.get("heartbeats"), list):
            apart["sessions"] += _parts(found.mapping, session)
            session_id = _value(found.mapping, "sessions", "session_id", session)
            for heartbeat in session["heartbeats"]:
                apart["heartbeats"].append(
                    {"session_id": session_id, **heartbeat}
                    if isinstance(heartbeat, dict)
                    else Broken(0, "not_json", json.dumps(heartbeat))
                )
        else:
            apart[found.dataset].append(record)
    return [
        _chunk(found, dataset, of_dataset)
        for dataset, of_dataset in apart.items()
        if of_dataset or dataset == found.dataset
    ]


def _squashed(record: Record) -> Record:
    return {squash(key): value for key, value in record.items()}


def _value(mapping: Mapping, dataset: str, column: str, squashed: Record) -> Any:
    """A contract column's value under the first of its names that has one."""
    values = (squashed.get(name) for name in names_of(mapping, dataset, column))
    return next((value for value in values if value is not None), None)


def _parts(mapping: Mapping, session: Record) -> list[Record | Broken]:
    """The parts that players had in a dumped session: those that it lists, or one for each player
    of its heartbeats."""
    whole = {
        column: _value(mapping, "sessions", column, session)
        for column in ("session_id", "started_at", "event_datetime")
    }
    parts: list[Record | Broken] = []
    if isinstance(session.get("players"), list):
        for player in session["players"]:
            if not isinstance(player, dict):
                parts.append(Broken(0, "not_json", json.dumps(player)))
                continue
            squashed = _squashed(player)
            own = {
                column.name: value
                for column in DATASETS["sessions"].columns
                if (value := _value(mapping, "sessions", column.name, squashed)) is not None
            }
            parts.append({**whole, **own})
        return parts
    seen: set[str] = set()
    for heartbeat in session["heartbeats"]:
        if not isinstance(heartbeat, dict):
            continue
        squashed = _squashed(heartbeat)
        player_id = _value(mapping, "heartbeats", "player_id", squashed)
        if player_id is not None and str(player_id) not in seen:
            seen.add(str(player_id))
            part = {**whole, "player_id": player_id, "kills": "0", "deaths": "0"}
            team = _value(mapping, "heartbeats", "team_id", squashed)
            parts.append(part if team is None else {**part, "team_id": team})
    return parts


def _chunk(found: Found, dataset: str, records: list[Record | Broken]) -> Chunk:
    try:
        return _columns(found.mapping, dataset, records)
    except UnicodeEncodeError:  # half of a pair of escapes, \\ud800: text that no file can hold
        return _columns(found.mapping, dataset, [_encodable(record) for record in records])


def _encodable(record: Record | Broken) -> Record | Broken:
    text = record.record if isinstance(record, Broken) else json.dumps(record, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return Broken(0, "not_utf8", text.encode("utf-8", "backslashreplace").decode("utf-8"))
    return record


def _columns(mapping: Mapping, dataset: str, records: list[Record | Broken]) -> Chunk:
    objects = [record for record in records if isinstance(record, dict)]
    rows = np.arange(len(records))
    broken: list[Broken] = []
    if len(objects) < len(records):
        whole = np.array([isinstance(record, dict) for record in records], np.bool_)
        broken = [
            Broken(row, record.reason, record.record)
            for row, record in enumerate(records)
            if isinstance(record, Broken)
        ]
        for record in broken:
            record.record.encode("utf-8")
        rows = rows[whole]
    names = list(dict.fromkeys(chain.from_iterable(objects)))
    unread: list[str] = []
    if len(names) > MOST_COLUMNS:
        wanted = {
            name for c in DATASETS[dataset].columns for name in names_of(mapping, dataset, c.name)
        }
        unread = [name for name in names if squash(name) not in wanted]
        names = [name for name in names if squash(name) in wanted]
    columns: dict[str, tuple[str, list[Any]]] = {}
    for name in names:
        values = [record.get(name) for record in objects]
        if squash(name) in columns:  # records of one file that spell it differently
            first, before = columns[squash(name)]
            values = [b if a is None else a for a, b in zip(before, values, strict=True)]
            columns[squash(name)] = (first, values)
        else:
            columns[squash(name)] = (name, values)
    table = pa.table(
        [_texts(values) for _, values in columns.values()],
        names=[name for name, _ in columns.values()],
    )
    return Chunk(dataset, table, rows, len(records), tuple(broken), tuple(unread[:MOST_COLUMNS]))


def _texts(values: Iterable[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except pa.ArrowException:
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
