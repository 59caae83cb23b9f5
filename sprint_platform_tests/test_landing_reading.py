"""Landed files read and conformed: the same records whatever the format, every record accepted or
rejected with its reason, and a clear refusal for what cannot be read."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import os
import struct
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sprint_platform.landing import csv_reading, json_reading, text_blocks
from sprint_platform.landing.conform import Conformed, conform, staged_schema
from sprint_platform.landing.files import (
    FileRefused,
    Found,
    content_digest,
    discover,
    landing_dir,
)
from sprint_platform.landing.ids import hashed_id
from sprint_platform.landing.intake import pieces
from sprint_platform.simulation.world import World
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

S1, S2 = "11111111-2222-8333-8444-555555555555", "11111111-2222-8333-8444-666666666666"
P1, P2 = "aaaaaaaa-bbbb-8ccc-8ddd-eeeeeeeeeee1", "aaaaaaaa-bbbb-8ccc-8ddd-eeeeeeeeeee2"
HEADER = "session_id,player_id,team_id,event_datetime,position_x,position_y,position_z"
BEAT = f"{S1},{P1},1,2025-01-31T12:00:00Z,1.25,-2.5,3"
ALL = ("sessions", "heartbeats", "transactions", "signons", "dim_players", "products")


def a_title(**mapping: Any) -> Title:
    return Title.model_validate(
        {
            "name": "studio",
            # before every time of these tests
            "launch_date": date(1970, 1, 1),
            "seed": 1,
            "source": "landing",
            "encounters": {"distance": 50, "gap_seconds": 180},
            "landing": {"datasets": ALL, "mapping": mapping},
        }
    )


def found(path: Path, dataset: str = "heartbeats", title: Title | None = None) -> Found:
    status = path.stat()
    mapping = (title or a_title()).landing_settings.mapping
    return Found(
        dataset=dataset,
        path=path,
        name=path.name,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
        refusal=None,
        mapping=mapping,
    )


class Read:
    """A file's records and rejects, with rows numbered over the whole file."""

    def __init__(
        self,
        path: Path,
        content: bytes | str,
        dataset: str = "heartbeats",
        settings: dict[str, Any] | None = None,
        **mapping: Any,
    ) -> None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        title = a_title(**mapping).model_copy(update=settings)
        self.notes: set[str] = set()
        self.records: dict[str, list[dict[str, Any]]] = {}
        self.rejected: list[tuple[int, str, str | None, str]] = []
        self.source_ids: dict[tuple[str, str], UUID] = {}
        self.ignored: set[str] = set()
        self.total = 0
        before: dict[str, int] = {}
        for piece in pieces(found(path, dataset, title), self.notes):
            for chunk in piece.parse():
                of_chunk = conform(title, chunk)
                _sum_holds(title, chunk.dataset, chunk.records, of_chunk)
                first = before.setdefault(chunk.dataset, 0)
                before[chunk.dataset] += chunk.records
                for record in of_chunk.records.to_pylist():
                    record["row"] += first
                    self.records.setdefault(chunk.dataset, []).append(record)
                for row in of_chunk.rejected.to_pylist():
                    row["row"] += first
                    self.rejected.append(tuple(row.values()))
                for source_id in of_chunk.source_ids.to_pylist():
                    self.source_ids[source_id["kind"], source_id["source_id"]] = source_id["id"]
                self.ignored |= set(of_chunk.ignored_columns)
                self.total += chunk.records

    @property
    def reasons(self) -> list[tuple[int, str, str | None]]:
        return [rejected[:3] for rejected in self.rejected]


def _sum_holds(title: Title, dataset: str, records: int, of_chunk: Conformed) -> None:
    assert of_chunk.records.schema == staged_schema(title, dataset)
    assert of_chunk.records.num_rows + of_chunk.rejected.num_rows == records
    rows = of_chunk.records["row"].to_pylist() + of_chunk.rejected["row"].to_pylist()
    assert sorted(rows) == list(range(records))


def beats(*lines: str, header: str = HEADER) -> str:
    return "\n".join([header, *lines]) + "\n"


def code(path: Path, content: bytes | str, dataset: str = "heartbeats", **mapping: Any) -> str:
    with pytest.raises(FileRefused) as refused:
        Read(path, content, dataset, **mapping)
    assert str(refused.value).isprintable()
    return refused.value.code


# --- every format gives the same records ---------------------------------------------------------

Write = Callable[[list[dict[str, Any]]], bytes]


def _as_csv(records: list[dict[str, Any]]) -> bytes:
    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        return f'"{text}"' if "," in text else text

    lines = [",".join(records[0])]
    lines += [",".join(cell(value) for value in record.values()) for record in records]
    return "\n".join(lines).encode()


def _as_ndjson(records: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(record, default=str) for record in records).encode()


def _as_json(records: list[dict[str, Any]]) -> bytes:
    return json.dumps(records, default=str, indent=1).encode()


def _as_parquet(records: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), buffer)
    return buffer.getvalue()


FORMATS: dict[str, Write] = {
    "csv": _as_csv,
    "ndjson": _as_ndjson,
    "json": _as_json,
    "parquet": _as_parquet,
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": lambda raw: bytes(pa.Codec("zstd").compress(raw, asbytes=True)),
}
MIXED = [
    {"match": "m 1", "player": 7, "team": 2, "when": datetime(2025, 1, 31, 12), "px": 1.005},
    {"match": "m 1", "player": 8, "team": 1, "when": datetime(2025, 1, 31, 13), "px": -99.995},
    {"match": "m é", "player": 7, "team": None, "when": datetime(2025, 7, 1, 0, 0, 1), "px": 1e9},
]


def _packed(packer: str, raw: bytes) -> bytes:
    if packer == ".zst":
        out = pa.BufferOutputStream()
        with pa.CompressedOutputStream(out, "zstd") as stream:
            stream.write(raw)
        return bytes(out.getvalue())
    return PACKERS[packer](raw)


@pytest.mark.parametrize("packer", ["", ".gz", ".zst"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_records(tmp_path: Path, format: str, packer: str) -> None:
    read = Read(
        tmp_path / f"beats.{format}{packer}",
        _packed(packer, FORMATS[format](MIXED)),
        columns={
            "heartbeats": {
                "session_id": "Match",
                "player_id": ["id", "player"],
                "team_id": "team",
                "event_datetime": "when",
                "position_x": "px",
            }
        },
        defaults={"heartbeats": {"position_y": 1, "position_z": -1.5}},
        time_zone="Europe/Berlin",
        position_scale=(10, 1, 1),
        position_offset=(0, 0, 1),
    )
    assert read.reasons == [(1, "out_of_range", "position_x"), (2, "out_of_range", "position_x")]
    assert read.records["heartbeats"] == [
        {
            "row": 0,
            "session_id": UUID(bytes=hashed_id("session", "m 1")),
            "player_id": UUID(bytes=hashed_id("player", "7")),
            "team_id": 2,
            "event_datetime": datetime(2025, 1, 31, 11),
            "position_x": Decimal("10.05"),
            "position_y": Decimal("1.00"),
            "position_z": Decimal("-0.50"),
        }
    ]
    assert set(read.source_ids) == {("session", "m 1"), ("player", "7")}
    assert read.source_ids["player", "7"].version == 8


@pytest.mark.parametrize("dataset", [d for d in DATASETS if d != "products"])
@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet"])
def test_simulated_records_come_back_as_they_are(
    tmp_path: Path, sprint: World, dataset: str, format: str
) -> None:
    day = sprint.title.launch_date
    table = pa.concat_tables(getattr(sprint, dataset)(day)).slice(0, 3000)
    path = tmp_path / f"records.{format}"
    if format == "parquet":
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        read = Read(path, buffer.getvalue(), dataset)
    else:
        read = Read(path, FORMATS[format](table.to_pylist()), dataset)
    assert read.rejected == []
    assert not read.source_ids
    for record in read.records[dataset]:
        del record["row"]
    assert read.records[dataset] == table.to_pylist()


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2025-01-31T12:00:00Z", "2025-01-31 12:00:00"),
        ("2025-01-31 12:00", "2025-01-31 11:00:00"),  # naive: Berlin
        ("2025-07-31 12:00:00.1234569", "2025-07-31 10:00:00.123456"),
        ("2025-01-31T12:00:00.5+02:00", "2025-01-31 10:00:00.500000"),
        ("2025-01-31T12:00:00-0130", "2025-01-31 13:30:00"),
        ("2025-01-31T12:00:00+01", "2025-01-31 11:00:00"),
        (" 2024-02-29T23:59:59,25z ", "2024-02-29 23:59:59.250000"),
        ("2025-10-26 02:30:00", "2025-10-26 00:30:00"),  # comes twice: the first
        ("2025-03-30 02:30:00", "unparseable"),  # never comes
        ("1738324800", "2025-01-31 12:00:00"),
        ("1738324800.25", "2025-01-31 12:00:00.250000"),
        ("99999999999999", "out_of_range: epoch_unit us fits"),
        ("1969-12-31T23:59:59Z", "out_of_range"),
        ("2100-12-31T23:59:59Z", "2100-12-31 23:59:59"),
        ("2101-01-01T00:00:00Z", "out_of_range"),
        ("2025-02-29T00:00:00Z", "unparseable"),
        ("2025-01-31", "2025-01-30 23:00:00"),  # midnight in Berlin
        ("2025-01-31 12:00:00 UTC", "2025-01-31 12:00:00"),
        ("2025-01-31 12:00:00.5 +0100", "2025-01-31 11:00:00.500000"),
        ("2025-01-31 12:00:00 CET", "unparseable"),
        ("2025-01-31T24:00:00Z", "unparseable"),
        ("2025-01-31T12:00:00.Z", "unparseable"),
        ("2025-01-31T12:00:00.1234567890Z", "unparseable"),
        ("yesterday", "unparseable"),
        ("", "missing_value"),
    ],
)
def test_times(tmp_path: Path, text: str, meant: str) -> None:
    line = f'{S1},{P1},1,"{text}",1,2,3'
    read = Read(tmp_path / "b.csv", beats(line), time_zone="Europe/Berlin", epoch_unit="s")
    if read.rejected:
        assert read.reasons == [(0, meant, "event_datetime")]
    else:
        assert str(read.records["heartbeats"][0]["event_datetime"]) == meant


def test_numbers_are_no_times_without_a_unit(tmp_path: Path) -> None:
    read = Read(tmp_path / "b.csv", beats(f"{S1},{P1},1,1738324800,1,2,3"))
    assert read.reasons == [(0, "unparseable", "event_datetime")]


@pytest.mark.parametrize(
    ("type_", "value", "meant"),
    [
        (pa.timestamp("s"), 1738324800, "2025-01-31 12:00:00"),
        (pa.timestamp("ms", "UTC"), 1738324800000, "2025-01-31 12:00:00"),
        (pa.timestamp("ns"), 1738324800000000999, "2025-01-31 12:00:00"),
        (pa.timestamp("us", "America/New_York"), 1738324800000001, "2025-01-31 12:00:00.000001"),
        (pa.timestamp("s"), 2**50, "out_of_range"),
        (pa.timestamp("us"), -1, "out_of_range"),
        (pa.int64(), 1738324800000, "2025-01-31 12:00:00"),
        (pa.uint64(), 2**64 - 1, "out_of_range"),
        (pa.float64(), 1738324800000.5, "2025-01-31 12:00:00.000500"),
        (pa.float64(), float("nan"), "missing_value"),
        (pa.date32(), 20000, "2024-10-04 00:00:00"),
        (pa.list_(pa.int64()), [1], "unparseable"),
        (pa.string(), "2025-01-31T12:00:00Z", "2025-01-31 12:00:00"),
        (pa.large_string(), "", "missing_value"),
        (pa.dictionary(pa.int8(), pa.string()), "x", "unparseable"),
        (pa.null(), None, "missing_value"),
    ],
)  # fmt: skip
def test_times_of_parquet_types(tmp_path: Path, type_: pa.DataType, value: Any, meant: str) -> None:
    beat: dict[str, Any] = {name: pa.array([1.0]) for name in HEADER.split(",")}
    if pa.types.is_timestamp(type_):
        beat["event_datetime"] = pa.array([value], pa.int64()).view(type_)
    else:
        beat["event_datetime"] = pa.array([value], type_)
    buffer = io.BytesIO()
    pq.write_table(pa.table(beat), buffer)
    read = Read(tmp_path / "b.parquet", buffer.getvalue(), epoch_unit="ms")
    if read.rejected:
        assert read.reasons == [(0, meant, "event_datetime")]
    else:
        assert str(read.records["heartbeats"][0]["event_datetime"]) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("100", Decimal("100.00")),
        ("-100.004", Decimal("-100.00")),
        ("0.125", Decimal("0.12")),
        ("0.375", Decimal("0.38")),
        ("1e1", Decimal("10.00")),
        (" 5 ", Decimal("5.00")),
        ("-0", Decimal("0.00")),
        ("100.01", "out_of_range"),
        ("1e300", "out_of_range"),
        ("NaN", "missing_value"),
        ("inf", "unparseable"),
        ("1,5", "unparseable"),
        ("0x10", "unparseable"),
        ("", "missing_value"),
    ],
)
def test_positions(tmp_path: Path, text: str, meant: Decimal | str) -> None:
    read = Read(tmp_path / "b.csv", beats(f'{S1},{P1},1,2025-01-31 12:00:00,"{text}",2,3'))
    if read.rejected:
        assert read.reasons == [(0, meant, "position_x")]
    else:
        assert read.records["heartbeats"][0]["position_x"] == meant


SALE = {
    "transaction_id": "t1", "player_id": P1, "event_datetime": "2025-01-31T12:00:00Z",
    "purchase_item": "SKU-1000", "purchase_price": "9.99", "currency": "USD",
    "is_recurring": "No", "cycle": "", "transaction_type": "skin",
}  # fmt: skip


@pytest.mark.parametrize(
    ("column", "text", "meant"),
    [
        ("purchase_price", "1.005", Decimal("1.00")),
        ("purchase_price", "1.015", Decimal("1.02")),
        ("purchase_price", "0", Decimal("0.00")),
        ("purchase_price", "-0.01", "out_of_range"),
        ("purchase_price", "9999999.99", Decimal("9999999.99")),
        ("purchase_price", "9999999.995", "out_of_range"),
        ("purchase_price", "1e400", "out_of_range"),
        ("purchase_price", "free", "unparseable"),
        ("is_recurring", "YES", True),
        ("is_recurring", "f", False),
        ("is_recurring", "N", False),
        ("is_recurring", "2", "unparseable"),
        ("is_recurring", "J", True),  # mapped
        ("is_recurring", "17", False),  # mapped
        ("transaction_type", "BATTLEPASS", "BattlePass"),
        ("transaction_type", "Season ticket", "BattlePass"),  # mapped
        ("transaction_type", "loot box", "unknown_value"),
        ("cycle", "m", "M"),
        ("cycle", "", None),
        ("cycle", "W", "unknown_value"),
        ("currency", "", "missing_value"),
        ("purchase_item", "x" * 2000, "out_of_range"),
    ],
)
def test_values_of_a_purchase(tmp_path: Path, column: str, text: str, meant: Any) -> None:
    words = {
        "transaction_type": {"season ticket": "BattlePass"},
        "is_recurring": {"J": True, 17: 0},
    }
    read = Read(tmp_path / "s.csv", _as_csv([{**SALE, column: text}]), "transactions", values=words)
    if read.rejected:
        assert read.reasons == [(0, meant, column)]
    else:
        assert read.records["transactions"][0][column] == meant


PART = {
    "session_id": S1, "player_id": P1, "team_id": "1", "start_time": "2025-01-31T12:00:00Z",
    "end_time": "2025-01-31T12:10:00.9Z", "kills": "3", "deaths": "0",
}  # fmt: skip


def test_a_session_without_country_and_length(tmp_path: Path) -> None:
    (part,) = Read(tmp_path / "s.csv", _as_csv([PART]), "sessions").records["sessions"]
    assert (part["country"], part["event_length_seconds"]) == ("ZZ", 600)
    assert part["event_datetime"] == datetime(2025, 1, 31, 12, 10, 0, 900000)


@pytest.mark.parametrize(
    ("changes", "reason", "column"),
    [
        ({"end_time": "2025-01-31T11:59:59Z"}, "ends_before_start", "event_datetime"),
        ({"end_time": ""}, "missing_value", "event_datetime"),
        ({"end_time": "2025-02-01T12:00:01Z"}, "out_of_range", "event_length_seconds"),
        ({"event_length_seconds": "-1"}, "out_of_range", "event_length_seconds"),
        ({"team_id": ""}, "missing_value", "team_id"),
        ({"team_id": "0"}, "out_of_range", "team_id"),
        ({"kills": "1.5"}, "unparseable", "kills"),
        ({"kills": "-1", "player_id": ""}, "missing_value", "player_id"),  # the first one
        ({"kills": "99999999999"}, "out_of_range", "kills"),
    ],
)
def test_what_a_session_may_not_be(
    tmp_path: Path, changes: dict[str, str], reason: str, column: str
) -> None:
    read = Read(tmp_path / "s.csv", _as_csv([{**PART, **changes}]), "sessions")
    assert read.reasons == [(0, reason, column)]
    assert json.loads(read.rejected[0][3])["start_time"] == PART["start_time"]


def test_whole_numbers_may_be_written_with_a_point(tmp_path: Path) -> None:
    read = Read(tmp_path / "s.csv", _as_csv([{**PART, "kills": "12.0", "deaths": 12}]), "sessions")
    (part,) = read.records["sessions"]
    assert (part["kills"], part["deaths"]) == (12, 12)


def test_team_labels_stay_text_and_may_be_missing_in_heartbeats(tmp_path: Path) -> None:
    lines = [BEAT.replace(f"{P1},1,", f"{P1},{team},") for team in ("red", "", "1")]
    read = Read(tmp_path / "b.csv", beats(*lines), teams="labels")
    assert [beat["team_label"] for beat in read.records["heartbeats"]] == ["red", None, "1"]
    read = Read(tmp_path / "b.csv", beats(*lines))
    assert [beat["team_id"] for beat in read.records["heartbeats"]] == [None, 1]
    assert read.reasons == [(0, "unparseable", "team_id")]


def test_ids_are_the_same_however_they_are_written(tmp_path: Path) -> None:
    lines = [
        BEAT.replace(S1, spelling) for spelling in (S1.upper(), f" {S1} ", "12", " 12", S1[:-1])
    ]
    read = Read(tmp_path / "b.csv", beats(*lines))
    ids = [beat["session_id"] for beat in read.records["heartbeats"]]
    assert ids[:2] == [UUID(S1), UUID(S1)]
    assert ids[2] == ids[3] == UUID(bytes=hashed_id("session", "12"))
    assert set(read.source_ids) == {("session", "12"), ("session", S1[:-1])}
    assert hashed_id("session", "12").hex() == "35d2a24198fa8290b042ef37dbed4866"
    assert hashed_id("player", "12") != hashed_id("session", "12")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([UUID(S1).bytes], pa.binary(16)),
        pa.array([UUID(S1).bytes], pa.binary()),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID(S1).bytes], pa.binary(16))),
        pa.array([S1.upper()]),
        pa.array([S1]).dictionary_encode(),
    ],
)
def test_parquet_uuids_of_any_type(tmp_path: Path, column: pa.Array) -> None:
    table = pa.Table.from_pylist([dict(zip(HEADER.split(","), BEAT.split(","), strict=True))])
    buffer = io.BytesIO()
    pq.write_table(table.set_column(0, "session_id", column), buffer)
    read = Read(tmp_path / "b.parquet", buffer.getvalue())
    assert read.records["heartbeats"][0]["session_id"] == UUID(S1)
    assert not read.source_ids


def test_integer_and_float_ids_are_one(tmp_path: Path) -> None:
    beat: dict[str, Any] = {name: [1.0, 1.0] for name in HEADER.split(",")}
    beat["player_id"] = [12.0, None]  # what a writer makes of integers with gaps
    buffer = io.BytesIO()
    pq.write_table(pa.table(beat), buffer)
    read = Read(tmp_path / "b.parquet", buffer.getvalue(), epoch_unit="s")
    assert read.reasons == [(1, "missing_value", "player_id")]
    assert ("player", "12") in read.source_ids


def test_rejected_ids_are_not_kept(tmp_path: Path) -> None:
    read = Read(tmp_path / "b.csv", beats(BEAT.replace(S1, "bad").replace("1.25", "far")))
    assert read.source_ids == {}


def test_names_are_compared_by_letters_and_digits(tmp_path: Path) -> None:
    header = "sessionId,PLAYER ID,TeamId,event-datetime,positionX,positionY,positionZ,_extra,Ping"
    read = Read(tmp_path / "b.csv", beats(BEAT + ",1,2", header=header))
    assert read.total == len(read.records["heartbeats"]) == 1
    assert read.ignored == {"_extra", "Ping"}


@pytest.mark.parametrize("format", ["csv", "ndjson", "json", "parquet"])
def test_a_missing_column_is_named_with_the_setting(tmp_path: Path, format: str) -> None:
    record = dict(zip(HEADER.split(",")[1:], BEAT.split(",")[1:], strict=True))
    with pytest.raises(FileRefused, match=r"mapping\.columns\.heartbeats\.session_id") as refused:
        Read(tmp_path / f"b.{format}", FORMATS[format]([record]))
    assert refused.value.code == "wrong_header"
    assert "player_id, team_id" in refused.value.detail


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert code(tmp_path / "b.csv", beats(BEAT + ",x", header=HEADER + ",SessionId")) == (
        "wrong_header"
    )
    read = Read(tmp_path / "b.csv", beats(BEAT + ",x,y", header=HEADER + ",ping,ping"))
    assert read.total == 1


def test_a_wrong_default_is_refused(tmp_path: Path) -> None:
    header = HEADER.replace(",position_z", "")
    with pytest.raises(FileRefused, match=r"defaults\.heartbeats\.position_z.*unparseable"):
        Read(
            tmp_path / "b.csv",
            beats(BEAT.removesuffix(",3"), header=header),
            defaults={"heartbeats": {"position_z": "low"}},
        )


# --- CSV -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    read = Read(tmp_path / "b.csv", beats(BEAT, BEAT).replace(",", delimiter))
    assert len(read.records["heartbeats"]) == 2


def test_byte_order_mark_and_windows_line_ends_are_noted(tmp_path: Path) -> None:
    read = Read(tmp_path / "b.csv", "\ufeff" + beats(BEAT, "", BEAT).replace("\n", "\r\n"))
    assert [beat["row"] for beat in read.records["heartbeats"]] == [0, 1]
    assert read.notes == {"UTF-8 byte order mark skipped", "CRLF line ends"}


def test_broken_records_are_numbered_between_the_others(tmp_path: Path) -> None:
    content = beats(BEAT, "1,2", "", BEAT, BEAT + ",8", BEAT).encode()
    content = content.replace(b"\n1,2\n", b"\n1,2\n" + BEAT.replace(P1, "\0").encode() + b"\n")
    read = Read(tmp_path / "b.csv", content.replace(b"\0", b"caf\xe9"))
    assert read.reasons == [
        (1, "wrong_column_count", None),
        (2, "not_utf8", None),
        (4, "wrong_column_count", None),
    ]
    assert [beat["row"] for beat in read.records["heartbeats"]] == [0, 3, 5]
    assert read.rejected[1][3] == BEAT.replace(P1, "caf\\xe9")


def test_a_long_record_is_cut_short(tmp_path: Path) -> None:
    read = Read(tmp_path / "b.csv", beats("x" * 10_000, BEAT.replace("1.25", "y" * 10_000)))
    assert [(len(record), record[-1]) for *_, record in read.rejected] == [(4096, "…")] * 2


def test_quoted_values_may_hold_line_ends_wherever_the_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        f'{S1},{P1},1,2025-01-31T12:00:{n % 60:02}Z,1,2,3,"line {n}\n, ""quoted""\r\n{n}"'
        if n % 3
        else f'{S1},{P1},1,2025-01-31T12:00:{n % 60:02}Z,1,2,3,5" {n}'
        for n in range(200)
    ]
    content = beats(*lines, header=HEADER + ",chat")
    whole = Read(tmp_path / "b.csv", content)
    assert whole.rejected == []
    for size in (257, 1000, 4099):
        monkeypatch.setattr(text_blocks, "BLOCK_BYTES", size)
        parts = Read(tmp_path / "b.csv", content)
        assert parts.records == whole.records
        assert len(parts.records["heartbeats"]) == 200


def test_a_file_in_many_blocks_is_the_same_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [BEAT, "1,2", BEAT.replace("1.25", "bad"), "", BEAT] * 40
    text = [json.dumps({"a": 1}), "[]", "{", "", json.dumps({"session_id": S1})] * 40
    whole = Read(tmp_path / "b.csv", beats(*lines))
    names = HEADER.split(",")
    good = json.dumps(dict(zip(names, BEAT.split(","), strict=True)))
    whole_ndjson = Read(tmp_path / "b.ndjson", "\n".join([good, *text]) + "\n")
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 512)
    assert Read(tmp_path / "b.csv", beats(*lines)).rejected == whole.rejected
    assert len(whole.rejected) == 80
    assert [reason for _, reason, _ in whole_ndjson.reasons].count("not_json") == 80
    assert [reason for _, reason, _ in whole_ndjson.reasons].count("missing_value") == 80


def test_a_header_alone_is_no_record(tmp_path: Path) -> None:
    assert Read(tmp_path / "b.csv", HEADER).total == 0
    assert Read(tmp_path / "b.csv", HEADER + "\r\n\r\n").total == 0
    assert code(tmp_path / "b.csv", "a,b,c\n") == "wrong_header"


def test_a_last_line_without_its_end_is_a_record_when_it_is_whole(tmp_path: Path) -> None:
    assert len(Read(tmp_path / "b.csv", beats(BEAT, BEAT)[:-1]).records["heartbeats"]) == 2


def test_a_line_that_never_ends_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(text_blocks, "LINE_BYTES", 10_000)
    assert code(tmp_path / "b.csv", beats(BEAT, '"' + "x\n" * 50_000)) == "line_too_long"
    assert code(tmp_path / "b.csv", beats(BEAT) + "x" * 100_000) == "line_too_long"
    monkeypatch.setattr(json_reading, "BLOCK_BYTES", 4096)
    assert code(tmp_path / "b.ndjson", '{"a": "' + "x" * 100_000) == "line_too_long"


# --- whole files that are refused -----------------------------------------------------------------

GOOD_BEAT = dict(zip(HEADER.split(","), BEAT.split(","), strict=True))
GOOD = {
    "csv": beats(BEAT, BEAT).encode(),
    "ndjson": _as_ndjson([GOOD_BEAT] * 2) + b"\n",
    "json": _as_json([GOOD_BEAT] * 2),
    "parquet": _as_parquet([GOOD_BEAT] * 2),
}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        *((f"b.{f}{z}", b"", "empty_file") for f in FORMATS for z in PACKERS),
        *((f"b.{f}.gz", gzip.compress(b"", mtime=0), "empty_file") for f in FORMATS),
        ("b.csv", b"\n\r\n", "empty_file"),
        ("b.csv", b"\xef\xbb\xbf", "empty_file"),
        ("b.json", b" \n", "empty_file"),
        *((f"b.{f}.gz", gzip.compress(GOOD[f], mtime=0)[:-9], "half_written") for f in FORMATS),
        *((f"b.{f}.zst", _packed(".zst", GOOD[f])[:-9], "half_written") for f in FORMATS),
        ("b.csv", GOOD["csv"][:-30], "half_written"),
        ("b.csv", GOOD["csv"] + f'{S1},"{P1}'.encode(), "half_written"),
        ("b.csv", GOOD["csv"] + b'"\n' + BEAT.encode() + b"\n", "half_written"),
        ("b.ndjson", GOOD["ndjson"][:-30], "half_written"),
        *(("b.json", GOOD["json"][:-n], "half_written") for n in (1, 2, 3, 7, 12, 30)),
        ("b.json", b'[{"a": "\xc3', "half_written"),
        *(("b.parquet", GOOD["parquet"][:n], "half_written") for n in (2, 4, 11, 500, -1)),
        *((f"b.{f}", GOOD["parquet"], "not_its_format") for f in ("csv", "ndjson", "json")),
        *((f"b.{f}", gzip.compress(GOOD["csv"], mtime=0), "not_its_format") for f in FORMATS),
        *((f"b.{f}", b"PK\x03\x04..", "not_its_format") for f in FORMATS),
        ("b.csv", bz2.compress(GOOD["csv"]), "not_its_format"),
        *((f"b.{f}.gz", GOOD[f], "not_its_format") for f in FORMATS),
        ("b.parquet", GOOD["csv"], "not_its_format"),
        ("b.csv", GOOD["json"], "not_its_format"),
        ("b.csv", GOOD["csv"] + b"\0" * 100, "not_its_format"),
        ("b.json", GOOD["csv"], "not_its_format"),
        ("b.json", b'[{"a": 1,}, {"b": 2}]', "not_its_format"),
        ("b.json", b'[{"a": 1}] and more', "not_its_format"),
        ("b.json", b"[" * 200_000 + b"]" * 200_000, "not_its_format"),
        ("b.ndjson", GOOD["json"], "not_its_format"),
        ("b.ndjson", GOOD["csv"], "not_its_format"),
        *((f"b.{f}", "a,b\n1,2\n".encode("utf-16"), "not_utf8") for f in ("csv", "json")),
        ("b.json", b'{"a": "caf\xe9"}', "not_utf8"),
        ("b.csv", "sitzung,gerät\n".encode("latin-1"), "not_utf8"),
        ("b.csv.gz", gzip.compress(GOOD["csv"], mtime=0)[:-8] + b"\xff" * 8, "unreadable"),
        ("b.csv.gz", gzip.compress(HEADER.encode() + b"\n" * 2**27, mtime=0), "decompression_bomb"),
        ("b.csv.zst", _packed(".zst", HEADER.encode() + b"\n" * 2**27), "decompression_bomb"),
        ("b.parquet.zst", _packed(".zst", b"PAR1" * 2**25), "decompression_bomb"),
    ],
)
def test_a_file_that_cannot_be_landed_says_why(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    assert code(tmp_path / name, content) == expected


def test_a_parquet_bomb_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"session_id": pa.nulls(2**22, pa.string())}), buffer)
    assert code(tmp_path / "b.parquet", buffer.getvalue()) == "decompression_bomb"


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    record = dict(zip(HEADER.split(","), BEAT.split(","), strict=True))
    bad = _as_parquet([record | {"team_id": "ABCDEFGH"}]).replace(b"ABCDEFGH", b"ABC\xff\xfeFGH")
    assert code(tmp_path / "b.parquet", bad) == "not_utf8"


def test_damaged_parquet_is_unreadable(tmp_path: Path) -> None:
    good = _as_parquet([dict(zip(HEADER.split(","), BEAT.split(","), strict=True))] * 1000)
    footer = struct.unpack("<I", good[-8:-4])[0]
    damaged = good[: -8 - footer] + b"\xff" * footer + good[-8:]
    assert code(tmp_path / "b.parquet", damaged) == "unreadable"


def test_json_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_reading, "DOCUMENT_BYTES", 1000)
    assert code(tmp_path / "b.json", GOOD["json"] * 10) == "json_too_large"


# --- JSON ----------------------------------------------------------------------------------------


def test_json_lines_that_are_no_records(tmp_path: Path) -> None:
    good = json.dumps(dict(zip(HEADER.split(","), BEAT.split(","), strict=True)))
    lines = [good, "[]", "nope", good + ",", '{"session_id": "caf\xe9"}', '{"a": "\\ud800"}', good]
    content = "\n".join(lines).encode("latin-1")
    read = Read(tmp_path / "b.ndjson", content)
    assert read.reasons == [
        (1, "not_json", None),
        (2, "not_json", None),
        (3, "not_json", None),
        (4, "not_utf8", None),
        (5, "not_utf8", None),
    ]
    assert [beat["row"] for beat in read.records["heartbeats"]] == [0, 6]


def test_json_numbers_and_flags_are_what_csv_would_say(tmp_path: Path) -> None:
    beat: dict[str, Any] = dict(zip(HEADER.split(","), BEAT.split(","), strict=True))
    line = json.dumps(beat | {"player_id": 12345678901234567890, "position_x": -1})
    line = line.replace("-1", "-1.50", 1)
    read = Read(tmp_path / "b.ndjson", line + "\n" + line.replace("-1.50", "true") + "\n")
    assert list(read.source_ids) == [("player", "12345678901234567890")]
    assert read.records["heartbeats"][0]["position_x"] == Decimal("-1.50")
    assert read.reasons == [(1, "unparseable", "position_x")]
    assert json.loads(read.rejected[0][3])["position_x"] == "true"


def test_records_of_one_file_may_spell_their_names_differently(tmp_path: Path) -> None:
    beat = dict(zip(HEADER.split(","), BEAT.split(","), strict=True))
    camel = {"sessionId": S2, **{k: v for k, v in beat.items() if k != "session_id"}}
    read = Read(tmp_path / "b.ndjson", _as_ndjson([beat, camel]))
    assert [str(b["session_id"]) for b in read.records["heartbeats"]] == [S1, S2]


def test_records_with_thousands_of_other_names(tmp_path: Path) -> None:
    beat = dict(zip(HEADER.split(","), BEAT.split(","), strict=True))
    read = Read(tmp_path / "b.ndjson", _as_ndjson([beat | {f"k{n}": n} for n in range(3000)]))
    assert len(read.records["heartbeats"]) == 3000


DUMP = {
    "session_id": S1,
    "start_time": "2025-01-31T12:00:00Z",
    "end_time": "2025-01-31T12:10:00Z",
    "map": "arena",
    "heartbeats": [
        {
            "player_id": player, "team_id": team, "event_datetime": "2025-01-31T12:00:30Z",
            "position_x": 1, "position_y": 2.5, "position_z": -3,
        }
        for player, team in ((P1, 2), (P2, 1), (P1, 2))
    ],
}  # fmt: skip


def _camel(document: Any) -> Any:
    if isinstance(document, list):
        return [_camel(value) for value in document]
    if isinstance(document, dict):
        return {
            key.split("_")[0] + "".join(part.title() for part in key.split("_")[1:]): _camel(value)
            for key, value in document.items()
        }
    return document


@pytest.mark.parametrize("spell", [lambda document: document, _camel])
@pytest.mark.parametrize("dataset", ["sessions", "heartbeats"])
@pytest.mark.parametrize("wrap", ["object", "array", "ndjson"])
def test_a_session_dump_gives_its_sessions_and_heartbeats(
    tmp_path: Path, spell: Callable[[Any], Any], dataset: str, wrap: str
) -> None:
    dump = spell(DUMP)
    if wrap == "ndjson":
        read = Read(tmp_path / "d.ndjson", _as_ndjson([dump]), dataset)
    else:
        document = json.dumps(dump if wrap == "object" else [dump])
        read = Read(tmp_path / "d.json", document, dataset)
    assert read.rejected == []
    assert [str(beat["player_id"]) for beat in read.records["heartbeats"]] == [P1, P2, P1]
    assert {str(beat["session_id"]) for beat in read.records["heartbeats"]} == {S1}
    assert [
        (str(part["player_id"]), part["team_id"], part["country"], part["event_length_seconds"])
        for part in read.records["sessions"]
    ] == [(P1, 2, "ZZ", 600), (P2, 1, "ZZ", 600)]


def test_a_session_dump_may_list_its_players(tmp_path: Path) -> None:
    players = [
        {"player_id": P1, "team_id": 1, "country": "FR", "kills": 3, "deaths": 1},
        {
            "playerId": P2, "team_id": 2, "country": None, "kills": 0, "deaths": 4,
            "event_datetime": "2025-01-31T12:05:00Z", "event_length_seconds": 300,
        },
        "nobody",
    ]  # fmt: skip
    read = Read(tmp_path / "d.json", json.dumps({**DUMP, "players": players}), "sessions")
    assert read.reasons == [(2, "not_json", None)]
    assert [
        (part["country"], part["event_length_seconds"], part["kills"])
        for part in read.records["sessions"]
    ] == [("FR", 600, 3), ("ZZ", 300, 0)]
    assert len(read.records["heartbeats"]) == 3


# --- the folder ----------------------------------------------------------------------------------


def test_the_folder_is_searched_without_following_links(tmp_path: Path, data_folder: Path) -> None:
    title = a_title()
    assert discover(title) == []
    root = landing_dir("studio")
    inside = root / "heartbeats" / "2025" / "ä\n"
    inside.mkdir(parents=True)
    (root / "sessions").mkdir()
    for name in ("b.CSV", "b.csv.gz", ".hidden.csv", "_part.csv", "b.csv.tmp", "b.xlsx", "b.gz"):
        (inside / name).write_bytes(b"x")
    os.mkfifo(root / "sessions" / "pipe.csv")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").write_bytes(b"x")
    (root / "sessions" / "out").symlink_to(tmp_path / "outside")
    (root / "sessions" / "out.csv").symlink_to(tmp_path / "outside" / "secret.csv")
    (root / "chats").mkdir()
    (root / "readme.txt").write_bytes(b"x")
    assert [(f.name, f.dataset, f.refusal and f.refusal.code) for f in discover(title)] == [
        ("chats", "chats", "unknown_dataset"),
        ("heartbeats/2025/ä\\n/b.CSV", "heartbeats", None),
        ("heartbeats/2025/ä\\n/b.csv.gz", "heartbeats", None),
        ("heartbeats/2025/ä\\n/b.gz", "heartbeats", "unknown_format"),
        ("heartbeats/2025/ä\\n/b.xlsx", "heartbeats", "unknown_format"),
        ("readme.txt", "", "unknown_dataset"),
        ("sessions/out", "sessions", "symlink"),
        ("sessions/out.csv", "sessions", "symlink"),
        ("sessions/pipe.csv", "sessions", "not_a_file"),
    ]


def test_a_name_that_is_no_text_is_shown_by_its_bytes(data_folder: Path) -> None:
    folder = landing_dir("studio") / "heartbeats"
    folder.mkdir(parents=True)
    for name in (b"caf\xe9.csv", b"caf\\xe9.csv"):
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_bytes(b"x")
    names = [file.name for file in discover(a_title())]
    assert names == ["heartbeats/caf\\\\xe9.csv", "heartbeats/caf\\xe9.csv"]


def test_a_link_or_pipe_that_takes_a_files_place_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text(beats(BEAT))
    before = found(path)
    digest = content_digest(path)
    assert len(digest) == 32
    path.rename(tmp_path / "moved.csv")
    path.symlink_to(tmp_path / "moved.csv")
    with pytest.raises(FileRefused, match="symlink"):
        list(pieces(before, set()))
    with pytest.raises(FileRefused, match="symlink"):
        content_digest(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileRefused, match="not_a_file"):
        list(pieces(before, set()))
    path.unlink()
    with pytest.raises(FileRefused, match="unreadable"):
        list(pieces(before, set()))
    (tmp_path / "moved.csv").rename(path)
    assert content_digest(path) == digest


# --- any bytes -----------------------------------------------------------------------------------

_FRAGMENTS = st.sampled_from(
    [
        HEADER.encode(), BEAT.encode(), S1.encode(), b"\n", b"\r\n", b"\r", b",", b";", b'"', b'""',
        b"\xff", b"\0", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b":", b'{"session_id":1}',
        json.dumps(DUMP).encode(), b"null", b"1e999", b"\\ud800", b"-", b"PAR1", b"9" * 400,
        b"2025-01-31T12:00:00Z", b"NaN", "é漢".encode(), b'"heartbeats":[', b" ",
    ]
)  # fmt: skip
_BYTES = st.one_of(
    st.binary(max_size=200),
    st.lists(_FRAGMENTS, max_size=30).map(b"".join),
    st.lists(_FRAGMENTS, max_size=12).map(lambda parts: HEADER.encode() + b"\n" + b"".join(parts)),
)
_NAMES = st.tuples(st.sampled_from(list(FORMATS)), st.sampled_from(["", ".gz", ".zst"]))


def _lands_or_is_refused(path: Path, content: bytes, dataset: str, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK_BYTES", block)
        patch.setattr(json_reading, "BLOCK_BYTES", block)
        # every chunk's sum is checked in Read
        with contextlib.suppress(FileRefused):
            Read(path, content, dataset)


@given(_BYTES, _NAMES, st.sampled_from(ALL), st.booleans(), st.sampled_from([7, 64, 2**20]))
@example(b'"\n' * 9, ("csv", ""), "heartbeats", False, 7)
@example(HEADER.encode() + b"\n\xef\xbb\xbf", ("csv", ""), "heartbeats", False, 7)
@example(b"\xed\xa0\x80\n", ("ndjson", ""), "heartbeats", False, 64)
def test_any_bytes_land_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    name: tuple[str, str],
    dataset: str,
    pack: bool,
    block: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{name[0]}{name[1]}"
    if pack and name[1]:
        content = _packed(name[1], content)
    _lands_or_is_refused(path, content, dataset, block)


@given(st.data(), st.sampled_from(list(FORMATS)), st.sampled_from(["", ".gz", ".zst"]))
def test_damaged_files_land_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, format: str, packer: str
) -> None:
    record = dict(zip(HEADER.split(","), BEAT.split(","), strict=True))
    content = bytearray(_packed(packer, FORMATS[format]([record] * 30)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(1, len(content))))
    path = tmp_path_factory.getbasetemp() / f"damaged.{format}{packer}"
    _lands_or_is_refused(path, bytes(content[:end]), "heartbeats", 2**20)


_CELLS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=8),
    st.sampled_from([S1, P1, "2025-01-31T12:00:00Z", "1.5", "-7", "1", "true", "M", "1e99", ""]),
)


@given(st.sampled_from(ALL), st.data())
def test_any_values_are_accepted_or_rejected_and_all_formats_agree(
    tmp_path_factory: pytest.TempPathFactory, dataset: str, data: st.DataObject
) -> None:
    names = [column.name for column in DATASETS[dataset].columns]
    rows = data.draw(st.lists(st.lists(_CELLS, min_size=len(names), max_size=len(names))))
    records = [dict(zip(names, row, strict=True)) for row in rows] or [dict.fromkeys(names, "x")]
    folder = tmp_path_factory.getbasetemp()
    quoted = io.StringIO()
    writer = csv_reading.csv.writer(quoted, quoting=csv_reading.csv.QUOTE_ALL)
    writer.writerows([names, *(record.values() for record in records)])
    contents = {name: FORMATS[name](records) for name in ("ndjson", "json", "parquet")}
    contents["csv"] = quoted.getvalue().encode()
    reads = [Read(folder / f"v.{name}", content, dataset) for name, content in contents.items()]
    for read in reads[1:]:
        assert read.records == reads[0].records
        assert read.reasons == reads[0].reasons
