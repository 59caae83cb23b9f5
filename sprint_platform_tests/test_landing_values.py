"""A value is the same value in every format and column: spaces, null words, translations, ids that
are numbers or UUIDs, and times as other programs write them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sprint_platform.landing import json_reading
from sprint_platform.landing.files import FileRefused
from sprint_platform.landing.ids import hashed_id
from sprint_platform_tests.test_landing_reading import Read

UNIQUE = "0ded8df6-b9b0-41e7-9667-02ff607182ab"
SESSION = {
    "session_id": "s1",
    "player_id": "p1",
    "team_id": "1",
    "country": "US",
    "started_at": "2025-03-01T10:00:00Z",
    "event_datetime": "2025-03-01T10:05:00Z",
    "kills": "1",
    "deaths": "2",
}


def _csv(records: list[dict[str, Any]]) -> bytes:
    lines = [",".join(records[0])]
    lines += [",".join("" if v is None else str(v) for v in r.values()) for r in records]
    return "\n".join([*lines, ""]).encode()


def _ndjson(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _json(records: list[dict[str, Any]]) -> bytes:
    return json.dumps(records).encode()


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, **options)
    return buffer.getvalue()


def _parquet(records: list[dict[str, Any]]) -> bytes:
    return parquet({name: [record[name] for record in records] for name in records[0]})


def _plain_parquet(records: list[dict[str, Any]]) -> bytes:
    columns = {name: [record[name] for record in records] for name in records[0]}
    return parquet(columns, use_dictionary=False)


FORMATS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "a.csv": _csv,
    "a.ndjson": _ndjson,
    "a.json": _json,
    "a.parquet": _parquet,
    "b.parquet": _plain_parquet,
}


def sessions(folder: Path, file: str, *changes: dict[str, Any], **mapping: Any) -> Read:
    """What a file of sessions gives, one for each of the changed records."""
    content = FORMATS[file]([SESSION | change for change in changes])
    return Read(folder / file, content, "sessions", **mapping)


def hashed(kind: str, text: str) -> UUID:
    return UUID(bytes=hashed_id(kind, text))


each_format = pytest.mark.parametrize("file", FORMATS)


@each_format
def test_spaces_around_a_value_are_none_of_it(tmp_path: Path, file: str) -> None:
    padded = {
        name: f" \t{value}\u00a0" if file != "a.csv" else f" {value}\u3000"
        for name, value in (SESSION | {"team_id": "red"}).items()
    }
    read = sessions(tmp_path, file, {"team_id": "red"}, padded, teams="labels")
    first, second = read.records["sessions"]
    assert first | {"row": 1} == second
    assert first["team_label"] == "red"


@each_format
@pytest.mark.parametrize("word", [r"\N", "NULL", " null ", "NaN", "None", "#N/A", "undefined"])
def test_null_words_are_no_value(tmp_path: Path, file: str, word: str) -> None:
    nothing = {"country": word, "event_datetime": "2025-03-01T10:05:00Z"}
    read = sessions(tmp_path, file, nothing, {"player_id": word}, {"kills": word})
    assert read.records["sessions"][0]["country"] == "ZZ"
    assert read.reasons == [(1, "missing_value", "player_id"), (2, "missing_value", "kills")]
    assert ("player", word.strip()) not in read.source_ids


@each_format
def test_null_words_are_the_titles_own(tmp_path: Path, file: str) -> None:
    changes = [{"player_id": word} for word in ("NULL", "-", "Null", "NULLs")]
    off = sessions(tmp_path, file, *changes, null_words=[])
    own = sessions(tmp_path, file, *changes, null_words=["-"])
    assert not off.rejected
    assert own.reasons == [(1, "missing_value", "player_id")]
    assert sorted(text for kind, text in off.source_ids if kind == "player") == [
        "-", "NULL", "NULLs", "Null",
    ]  # fmt: skip


def test_a_player_may_be_called_null(tmp_path: Path) -> None:
    header = "player_id,display_name,country,language,time_zone,platform,birth_year,signed_up_at"
    read = Read(
        tmp_path / "a.csv",
        f"{header}\np,NULL,NULL,en,UTC,pc,1990,2025-03-01\n",
        "dim_players",
    )
    (player,) = read.records["dim_players"]
    assert (player["display_name"], player["country"]) == ("NULL", "ZZ")


def test_a_float_that_is_not_a_number_is_no_value(tmp_path: Path) -> None:
    columns = {name: [value] * 2 for name, value in SESSION.items()}
    content = parquet(columns | {"event_length_seconds": [float("nan"), 60.0]})
    read = Read(tmp_path / "a.parquet", content, "sessions")
    assert [s["event_length_seconds"] for s in read.records["sessions"]] == [300, 60]


@each_format
def test_values_are_translated_in_every_column(tmp_path: Path, file: str) -> None:
    read = sessions(
        tmp_path, file,
        {"player_id": "smurf7", "team_id": "ROT", "started_at": "start", "won": "victory"},
        {"player_id": "Smurf7", "team_id": "red", "country": "??", "won": "nobody knows"},
        {"player_id": "BOT", "team_id": "red", "won": "false"},
        teams="labels",
        values={
            "player_id": {"smurf7": "anna", "BOT": ""},
            "team_id": {"rot": "red"},
            "country": {"??": ""},
            "started_at": {"start": "2025-03-01 10:00:00"},
            "won": {"victory": "true", "nobody knows": ""},
        },
    )  # fmt: skip
    first, second = read.records["sessions"]
    assert first["player_id"] == hashed("player", "anna")
    assert second["player_id"] == hashed("player", "Smurf7")  # ids are compared letter by letter
    assert (first["team_label"], second["team_label"]) == ("red", "red")
    assert str(first["started_at"]) == "2025-03-01 10:00:00"
    assert (first["won"], second["won"], second["country"]) == (True, None, "ZZ")
    assert read.reasons == [(2, "missing_value", "player_id")]


def test_values_that_are_no_text_are_translated(tmp_path: Path) -> None:
    columns: dict[str, Any] = {name: [value] * 2 for name, value in SESSION.items()}
    columns |= {"player_id": [-1, 7], "team_id": [100, 200], "won": [1, 0]}
    values = {"player_id": {"-1": ""}, "team_id": {"100": "1", "200": "2"}}
    read = Read(tmp_path / "a.parquet", parquet(columns), "sessions", values=values)
    assert read.reasons == [(0, "missing_value", "player_id")]
    assert [s["team_id"] for s in read.records["sessions"]] == [2]


@pytest.mark.parametrize(
    ("file", "number"),
    [("a.csv", "101.0"), ("b.csv", "101.00"), ("a.ndjson", 101.0), ("b.ndjson", "101.0")],
)
def test_a_whole_number_is_one_id_with_a_point_or_without(
    tmp_path: Path, file: str, number: object
) -> None:
    record = SESSION | {"session_id": number, "player_id": number, "team_id": number}
    write = _csv if file.endswith("csv") else _ndjson
    read = Read(tmp_path / file, write([record]), "sessions", teams="labels")
    (session,) = read.records["sessions"]
    assert session["session_id"] == hashed("session", "101")
    assert session["player_id"] == hashed("player", "101")
    assert session["team_label"] == "101"


@pytest.mark.parametrize("type_", [pa.float64(), pa.float32(), pa.decimal128(38, 2), pa.int64()])
def test_numbers_of_parquet_are_the_same_ids(tmp_path: Path, type_: pa.DataType) -> None:
    columns: dict[str, Any] = {name: [value] for name, value in SESSION.items()}
    number = pa.array([101]).cast(type_)
    columns |= {"session_id": number, "team_id": number}
    (session,) = Read(tmp_path / "a.parquet", parquet(columns), "sessions", teams="labels").records[
        "sessions"
    ]
    assert session["session_id"] == hashed("session", "101")
    assert session["team_label"] == "101"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.csv", _csv([SESSION | {"player_id": "9.007199254740994e+15"}])),
        ("b.csv", _csv([SESSION | {"session_id": "76561198000000001.0"}])),
        ("a.ndjson", _ndjson([SESSION | {"player_id": 7.656119800000001e16}])),
        ("a.parquet", parquet({k: [v] for k, v in SESSION.items()} | {"player_id": [2.0**53]})),
        (
            "b.parquet",
            parquet(
                {k: [v] for k, v in SESSION.items()}
                | {"session_id": pa.array([2.0**24], pa.float32())}
            ),
        ),
    ],
)
def test_ids_that_a_float_cannot_count_are_refused(
    tmp_path: Path, file: str, content: bytes
) -> None:
    with pytest.raises(
        FileRefused, match=r"inexact_ids: (player|session)_id was written as a float"
    ):
        Read(tmp_path / file, content, "sessions")


def test_large_whole_numbers_are_ids(tmp_path: Path) -> None:
    large = "76561198000000001"
    for file, write in (("a.csv", _csv), ("a.ndjson", _ndjson)):
        number: Any = large if write is _csv else int(large)
        read = Read(tmp_path / file, write([SESSION | {"player_id": number}]), "sessions")
        assert read.records["sessions"][0]["player_id"] == hashed("player", large)


@each_format
@pytest.mark.parametrize(
    "spelled",
    [
        UNIQUE.upper(),
        UNIQUE.replace("-", ""),
        f"{{{UNIQUE}}}",
        f" {{{UNIQUE.replace('-', '').upper()}}}",
        f"urn:uuid:{UNIQUE}",
        f"URN:UUID:{UNIQUE.upper()}",
    ],
)
def test_a_uuid_is_one_in_every_spelling(tmp_path: Path, file: str, spelled: str) -> None:
    read = sessions(tmp_path, file, {"session_id": spelled, "player_id": spelled})
    (session,) = read.records["sessions"]
    assert session["session_id"] == session["player_id"] == UUID(UNIQUE)
    assert not read.source_ids


@pytest.mark.parametrize(
    "text", [UNIQUE[:-1], UNIQUE[:-1] + "g", f"({UNIQUE})", f"uuid:urn:{UNIQUE}", f"{{{UNIQUE}"]
)
def test_what_is_no_uuid_is_an_id_like_any_other(tmp_path: Path, text: str) -> None:
    read = sessions(tmp_path, "a.csv", {"session_id": text})
    assert read.records["sessions"][0]["session_id"] == hashed("session", text)


@pytest.mark.parametrize("type_", [pa.binary(), pa.binary(16), pa.large_binary()])
def test_ids_in_bytes_are_text_where_they_can_be_read(tmp_path: Path, type_: pa.DataType) -> None:
    ids = [b"A1B2C3D4E5F60718", UUID(UNIQUE).bytes]
    columns: dict[str, Any] = {name: [value] * 2 for name, value in SESSION.items()}
    content = parquet(columns | {"player_id": pa.array(ids, type_), "country": [b"US", b" \\N"]})
    read = Read(tmp_path / "a.parquet", content, "sessions")
    assert [s["player_id"] for s in read.records["sessions"]] == [
        hashed("player", "A1B2C3D4E5F60718"),
        UUID(UNIQUE),
    ]
    assert [s["country"] for s in read.records["sessions"]] == ["US", "ZZ"]


def test_int96_is_an_instant_unless_the_title_says_local(tmp_path: Path) -> None:
    columns: dict[str, Any] = {name: [value] for name, value in SESSION.items()}
    columns["started_at"] = [datetime(2025, 3, 1, 10, 0)]
    content = parquet(columns, use_deprecated_int96_timestamps=True)
    for int96, hour in (("utc", 10), ("local", 9)):
        read = Read(
            tmp_path / "a.parquet", content, "sessions", time_zone="Europe/Berlin", int96=int96
        )
        assert read.records["sessions"][0]["started_at"].hour == hour


@pytest.mark.parametrize(
    ("repeated", "meant"), [("first", "00:30:00"), ("second", "01:30:00"), ("reject", None)]
)
@each_format
def test_an_hour_that_comes_twice_is_the_one_that_the_title_says(
    tmp_path: Path, file: str, repeated: str, meant: str | None
) -> None:
    read = sessions(
        tmp_path, file,
        {"started_at": "2025-10-26 02:30:00", "event_datetime": "2025-10-26 04:00:00"},
        time_zone="Europe/Berlin", repeated_hour=repeated,
    )  # fmt: skip
    if meant is None:
        assert read.reasons == [(0, "unparseable", "started_at")]
    else:
        assert str(read.records["sessions"][0]["started_at"]) == f"2025-10-26 {meant}"


@each_format
def test_dates_and_zones_as_warehouses_write_them(tmp_path: Path, file: str) -> None:
    times = {
        "2025-03-02": "2025-03-01 23:00:00",  # midnight in Berlin
        "2025-03-02 12:00:00 UTC": "2025-03-02 12:00:00",
        "2025-03-02 12:00:00.000 +0000": "2025-03-02 12:00:00",
        "2025-03-02 12:00:00.5 UTC": "2025-03-02 12:00:00.500000",
        "2025-03-02 12:00:00+00": "2025-03-02 12:00:00",
        "2025-03-02 12:00 -05:30": "2025-03-02 17:30:00",
    }
    changes = [{"started_at": time, "event_datetime": "2025-03-03 00:00"} for time in times]
    read = sessions(tmp_path, file, *changes, time_zone="Europe/Berlin")
    assert [str(s["started_at"]) for s in read.records["sessions"]] == list(times.values())


def test_a_day_that_begins_an_hour_late_begins_then(tmp_path: Path) -> None:
    read = sessions(
        tmp_path, "a.csv", {"started_at": "2025-04-25", "event_datetime": "2025-04-25 10:00"},
        time_zone="Africa/Cairo",
    )  # fmt: skip
    assert str(read.records["sessions"][0]["started_at"]) == "2025-04-24 22:00:00"


@pytest.mark.parametrize(
    "encoding", ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "PLAIN", "RLE_DICTIONARY"]
)
def test_parquet_text_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    columns = {name: [value] for name, value in SESSION.items()}
    options: dict[str, Any] = {"use_dictionary": encoding == "RLE_DICTIONARY"}
    if encoding != "RLE_DICTIONARY":
        options["column_encoding"] = {"session_id": encoding, "country": encoding}
    read = Read(tmp_path / "a.parquet", parquet(columns, **options), "sessions")
    (session,) = read.records["sessions"]
    assert (session["session_id"], session["country"]) == (hashed("session", "s1"), "US")


def test_nanoseconds_are_a_unit(tmp_path: Path) -> None:
    read = sessions(
        tmp_path, "a.ndjson",
        {"started_at": 1740823200000000999, "event_datetime": "1740823260000000000"},
        epoch_unit="ns",
    )  # fmt: skip
    (session,) = read.records["sessions"]
    assert str(session["started_at"]) == "2025-03-01 10:00:00"
    assert session["event_length_seconds"] == 60


def test_money_of_any_format_is_trimmed(tmp_path: Path) -> None:
    header = (
        "transaction_id,player_id,event_datetime,purchase_item,purchase_price,currency,"
        "is_recurring,cycle,transaction_type"
    )
    line = " t , p ,2025-03-01 , SKU-1 , 9.99 , USD , false , \\N , skin "
    (sold,) = Read(tmp_path / "a.csv", f"{header}\n{line}\n", "transactions").records[
        "transactions"
    ]
    assert (sold["purchase_price"], sold["currency"], sold["cycle"]) == (
        Decimal("9.99"), "USD", None,
    )  # fmt: skip
    assert (sold["purchase_item"], sold["transaction_type"]) == ("SKU-1", "Skin")


@pytest.mark.parametrize("file", ["a.ndjson", "a.jsonl", "a.json"])
@pytest.mark.parametrize("between", ["", " ", "\n", "\r\n"])
def test_json_records_may_follow_one_another(tmp_path: Path, file: str, between: str) -> None:
    records = [json.dumps(SESSION | {"session_id": f"s{n} {{é}}"}) for n in range(5)]
    read = Read(tmp_path / file, between.join(records), "sessions")
    assert len(read.records["sessions"]) == 5
    assert ("session", "s4 {é}") in read.source_ids


def test_a_firehose_file_is_one_line_of_any_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_reading, "BLOCK_BYTES", 1000)
    text = "".join(
        json.dumps(SESSION | {"session_id": f"é{n}"}, ensure_ascii=False) for n in range(99)
    )
    read = Read(tmp_path / "a.ndjson", text, "sessions")
    assert [text for kind, text in read.source_ids if kind == "session"] == [
        f"é{n}" for n in range(99)
    ]
    with pytest.raises(FileRefused, match="half_written"):
        Read(tmp_path / "b.ndjson", text[:-9], "sessions")


@pytest.mark.parametrize("before", ["", "\n", " "])
@pytest.mark.parametrize("file", ["a.ndjson", "a.jsonl", "a.json"])
def test_a_file_that_ends_behind_an_inner_brace_was_not_written_whole(
    tmp_path: Path, file: str, before: str
) -> None:
    record = json.dumps(SESSION | {"meta": {"note": "of {one}", "k": {"m": 1}}, "n": "{it}"})
    ends = [place for place, letter in enumerate(record, 1) if letter == "}"]
    for end in ends[:-1]:
        with pytest.raises(FileRefused, match="half_written"):
            Read(tmp_path / file, before.join([record, record, record[:end]]), "sessions")
    read = Read(tmp_path / file, before.join([record] * 3), "sessions")
    assert len(read.records["sessions"]) == 3


def test_a_last_line_that_is_whole_and_no_record_is_rejected_alone(tmp_path: Path) -> None:
    one = json.dumps(SESSION)
    for last in (one.replace('"', "'", 1), f"{one}}}", one.replace(":", ": nothing,", 1)):
        read = Read(tmp_path / "a.ndjson", f"{one}\n{last}", "sessions")
        assert len(read.records["sessions"]) + len(read.rejected) == read.total
        assert [reason for _, reason, _ in read.reasons] == ["not_json"]


def test_what_follows_on_a_line_and_is_no_record_is_rejected(tmp_path: Path) -> None:
    one = json.dumps(SESSION)
    read = Read(tmp_path / "a.ndjson", f"{one}{one}{{half\n{one} and\n{one}\n", "sessions")
    assert [s["row"] for s in read.records["sessions"]] == [0, 1, 4]
    assert read.reasons == [(2, "not_json", None), (3, "not_json", None)]


def test_tab_separated_values_may_hold_commas(tmp_path: Path) -> None:
    header, line = "\t".join(SESSION), "\t".join(SESSION.values())
    text = f"{header}\ta,b,c,d,e,f,g,h,i\n{line}\tone, two\n"
    read = Read(tmp_path / "a.tsv", text, "sessions")
    assert len(read.records["sessions"]) == 1
    assert read.ignored == {"a,b,c,d,e,f,g,h,i"}


@pytest.mark.parametrize("type_", [pa.string(), pa.binary(16), pa.uuid()])
def test_uuids_are_translated_too(tmp_path: Path, type_: pa.DataType) -> None:
    """The UUID of nobody, which is all zeros, is no player."""
    nobody, other = UUID(int=0), UUID(UNIQUE)
    ids = [nobody, other, other]
    columns: dict[str, Any] = {name: [value] * 3 for name, value in SESSION.items()}
    if type_ == pa.string():
        columns["player_id"] = [str(value) for value in ids]
    else:
        storage = pa.array([value.bytes for value in ids], pa.binary(16))
        is_uuid = type_ == pa.uuid()
        columns["player_id"] = (
            pa.ExtensionArray.from_storage(pa.uuid(), storage) if is_uuid else storage
        )
    values = {"player_id": {str(nobody): ""}}
    read = Read(tmp_path / "a.parquet", parquet(columns), "sessions", values=values)
    assert read.reasons == [(0, "missing_value", "player_id")]
    assert [s["player_id"] for s in read.records["sessions"]] == [other, other]
