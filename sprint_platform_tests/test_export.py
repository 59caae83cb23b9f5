"""Export: what stands in the files, that the same records give the same bytes, that nothing is left
half-done, and that what is exported lands back whole."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sprint_platform import cli
from sprint_platform.landing.land import LandReport, land
from sprint_platform.landing.products import landed_products
from sprint_platform.operations import export
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.operations.export import ExportError, export_day, export_products
from sprint_platform.places import project_root
from sprint_platform.simulation.world import World
from sprint_platform.storage.digest import digest_table
from sprint_platform.storage.partitions import (
    PartitionError,
    partition_days,
    read_manifest,
    write_partition,
)
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title
from sprint_platform_tests.worlds import SIMULATED, compound, title_like

Row = dict[str, Any]

DAY = date(2025, 1, 31)
FORMATS = ("json", "ndjson", "csv", "parquet")
ONE, TWO, THREE = (UUID(f"00000000-0000-8000-8000-00000000000{n}") for n in (1, 2, 3))
NOON = datetime(2025, 1, 31, 12)
EARLY = datetime(2025, 1, 31, 0, 0, 0, 50_000)

# One or two records of each dataset, and the lines that stand for them.
RECORDS: dict[str, list[Row]] = {
    "products": [
        {
            "product_id": ONE, "product_sku": "SKU-1000", "product_name": 'The "Sky", blue',
            "tier": "Premium", "purchase_price": Decimal("9.90"), "transaction_type": "Skin",
            "is_recurring": False, "cycle": None, "created_at": NOON, "last_modified_at": EARLY,
        },
    ],
    "dim_players": [
        {
            "player_id": ONE, "display_name": "Zoë\tO'Neil\\ 🎮", "country": "FR",
            "language": "fr-FR", "time_zone": "Europe/Paris", "platform": "pc",
            "birth_year": 1999, "signed_up_at": NOON,
        },
        {
            "player_id": TWO, "display_name": "two\nlines, \"quoted\"", "country": "ZZ",
            "language": "en", "time_zone": "UTC", "platform": "xbox", "birth_year": 2001,
            "signed_up_at": EARLY,
        },
    ],
    "signons": [{"player_id": ONE, "country": "US", "platform": "pc", "signed_on_at": EARLY}],
    "sessions": [
        {
            "session_id": ONE, "player_id": THREE, "team_id": 1, "country": "US",
            "started_at": NOON, "event_datetime": NOON + timedelta(seconds=60),
            "event_length_seconds": 60, "kills": 3, "deaths": 0, "party_id": None, "won": None,
        },
        {
            "session_id": ONE, "player_id": TWO, "team_id": 2, "country": "ZZ",
            "started_at": EARLY, "event_datetime": NOON, "event_length_seconds": 43_199,
            "kills": 0, "deaths": 12, "party_id": THREE, "won": False,
        },
    ],
    "heartbeats": [
        {
            "session_id": ONE, "player_id": THREE, "team_id": 1, "event_datetime": NOON,
            "position_x": Decimal("-0.05"), "position_y": Decimal("12.30"),
            "position_z": Decimal("-99999.99"),
        },
        {
            "session_id": ONE, "player_id": TWO, "team_id": 2, "event_datetime": EARLY,
            "position_x": Decimal("0.00"), "position_y": Decimal("100.00"),
            "position_z": Decimal("7.00"),
        },
    ],
    "transactions": [
        {
            "transaction_id": THREE, "player_id": ONE, "event_datetime": EARLY,
            "purchase_item": "SKU-1000", "purchase_price": Decimal("1234567.89"),
            "currency": "USD", "is_recurring": True, "cycle": "M",
            "transaction_type": "BattlePass",
        },
        {
            "transaction_id": TWO, "player_id": ONE, "event_datetime": NOON,
            "purchase_item": "SKU-1001", "purchase_price": Decimal("0.00"), "currency": "EUR",
            "is_recurring": False, "cycle": None, "transaction_type": "Emote",
        },
    ],
}  # fmt: skip

ID = "00000000-0000-8000-8000-00000000000"
T12, T00 = "2025-01-31T12:00:00Z", "2025-01-31T00:00:00.050000Z"
CSV = {
    "products": f'{ID}1,SKU-1000,"The ""Sky"", blue",Premium,9.90,Skin,false,,{T12},{T00}\n',
    "dim_players": (
        f"{ID}1,Zoë\tO'Neil\\ 🎮,FR,fr-FR,Europe/Paris,pc,1999,{T12}\n"
        f'{ID}2,"two\nlines, ""quoted""",ZZ,en,UTC,xbox,2001,{T00}\n'
    ),
    "signons": f"{ID}1,US,pc,{T00}\n",
    "sessions": (
        f"{ID}1,{ID}3,1,US,{T12},2025-01-31T12:01:00Z,60,3,0,,\n"
        f"{ID}1,{ID}2,2,ZZ,{T00},{T12},43199,0,12,{ID}3,false\n"
    ),
    "heartbeats": (
        f"{ID}1,{ID}3,1,{T12},-0.05,12.30,-99999.99\n{ID}1,{ID}2,2,{T00},0.00,100.00,7.00\n"
    ),
    "transactions": (
        f"{ID}3,{ID}1,{T00},SKU-1000,1234567.89,USD,true,M,BattlePass\n"
        f"{ID}2,{ID}1,{T12},SKU-1001,0.00,EUR,false,,Emote\n"
    ),
}
JSON_LINES = {
    "products": [
        f'{{"product_id":"{ID}1","product_sku":"SKU-1000","product_name":"The \\"Sky\\", blue",'
        '"tier":"Premium","purchase_price":9.90,"transaction_type":"Skin","is_recurring":false,'
        f'"cycle":null,"created_at":"{T12}","last_modified_at":"{T00}"}}'
    ],
    "dim_players": [
        f'{{"player_id":"{ID}1","display_name":"Zoë\\tO\'Neil\\\\ 🎮","country":"FR",'
        '"language":"fr-FR","time_zone":"Europe/Paris","platform":"pc","birth_year":1999,'
        f'"signed_up_at":"{T12}"}}',
        f'{{"player_id":"{ID}2","display_name":"two\\nlines, \\"quoted\\"","country":"ZZ",'
        '"language":"en","time_zone":"UTC","platform":"xbox","birth_year":2001,'
        f'"signed_up_at":"{T00}"}}',
    ],
    "signons": [f'{{"player_id":"{ID}1","country":"US","platform":"pc","signed_on_at":"{T00}"}}'],
    "sessions": [
        f'{{"session_id":"{ID}1","player_id":"{ID}3","team_id":1,"country":"US",'
        f'"started_at":"{T12}","event_datetime":"2025-01-31T12:01:00Z",'
        '"event_length_seconds":60,"kills":3,"deaths":0,'
        '"party_id":null,"won":null}',
        f'{{"session_id":"{ID}1","player_id":"{ID}2","team_id":2,"country":"ZZ",'
        f'"started_at":"{T00}","event_datetime":"{T12}",'
        '"event_length_seconds":43199,"kills":0,"deaths":12,'
        f'"party_id":"{ID}3","won":false}}',
    ],
    "heartbeats": [
        f'{{"session_id":"{ID}1","player_id":"{ID}3","team_id":1,"event_datetime":"{T12}",'
        '"position_x":-0.05,"position_y":12.30,"position_z":-99999.99}',
        f'{{"session_id":"{ID}1","player_id":"{ID}2","team_id":2,"event_datetime":"{T00}",'
        '"position_x":0.00,"position_y":100.00,"position_z":7.00}',
    ],
    "transactions": [
        f'{{"transaction_id":"{ID}3","player_id":"{ID}1","event_datetime":"{T00}",'
        '"purchase_item":"SKU-1000","purchase_price":1234567.89,"currency":"USD",'
        '"is_recurring":true,"cycle":"M","transaction_type":"BattlePass"}',
        f'{{"transaction_id":"{ID}2","player_id":"{ID}1","event_datetime":"{T12}",'
        '"purchase_item":"SKU-1001","purchase_price":0.00,"currency":"EUR",'
        '"is_recurring":false,"cycle":null,"transaction_type":"Emote"}',
    ],
}
DUMP = (
    f'{{"session_id":"{ID}1","start_time":"{T00}","end_time":"2025-01-31T12:01:00Z","players":[\n'
    f'{{"player_id":"{ID}2","team_id":2,"country":"ZZ","started_at":"{T00}",'
    f'"event_datetime":"{T12}","event_length_seconds":43199,"kills":0,"deaths":12,'
    f'"party_id":"{ID}3","won":false}},\n'
    f'{{"player_id":"{ID}3","team_id":1,"country":"US","started_at":"{T12}",'
    '"event_datetime":"2025-01-31T12:01:00Z","event_length_seconds":60,"kills":3,"deaths":0,'
    '"party_id":null,"won":null}\n'
    '],"heartbeats":[\n'
    f'{{"player_id":"{ID}2","team_id":2,"event_datetime":"{T00}",'
    '"position_x":0.00,"position_y":100.00,"position_z":7.00},\n'
    f'{{"player_id":"{ID}3","team_id":1,"event_datetime":"{T12}",'
    '"position_x":-0.05,"position_y":12.30,"position_z":-99999.99}\n'
    "]}\n"
)


def table_of(dataset: str, rows: list[Row]) -> pa.Table:
    schema = DATASETS[dataset].arrow_schema
    columns = [pa.array([row[c.name] for row in rows], c.type) for c in schema]
    return pa.table(columns, schema=schema)


def write(dataset: str, rows: list[Row], day: date = DAY) -> None:
    """A partition of the title ``odd``, every record in a row group of its own."""
    write_partition("odd", dataset, day, (table_of(dataset, [row]) for row in rows), "by hand")


def write_all() -> None:
    for dataset in SIMULATED:
        write(dataset, RECORDS[dataset])


def one_file(dataset: str, file_format: str, folder: Path) -> bytes:
    """Exports the dataset's records, and returns the one file that this gives."""
    if dataset == "products":
        report = export_products(table_of(dataset, RECORDS[dataset]), file_format, folder)
        path = folder / "products" / "catalogue" / f"products.{file_format}"
    else:
        report = export_day("odd", dataset, DAY, file_format, folder)
        path = folder / dataset / "2025-01-31" / f"{dataset}-2025-01-31.{file_format}"
        if (dataset, file_format) == ("sessions", "json"):
            path = path.with_name(f"{ID}1.json")
    assert [p for p in folder.rglob("*") if p.is_file()] == [path]
    content = path.read_bytes()
    assert (report.files, report.rows, report.bytes) == (1, len(RECORDS[dataset]), len(content))
    return content


# --- what stands in the files --------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["csv", "ndjson", "json"])
@pytest.mark.parametrize("dataset", list(RECORDS))
def test_text_files_hold_these_bytes(
    data_folder: Path, tmp_path: Path, dataset: str, file_format: str
) -> None:
    write_all()
    content = one_file(dataset, file_format, tmp_path / "out").decode()
    header = ",".join(column.name for column in DATASETS[dataset].columns)
    if (dataset, file_format) == ("sessions", "json"):
        expected = DUMP
    else:
        expected = {
            "csv": f"{header}\n{CSV[dataset]}",
            "ndjson": "".join(f"{line}\n" for line in JSON_LINES[dataset]),
            "json": "[\n" + ",\n".join(JSON_LINES[dataset]) + "\n]\n",
        }[file_format]
    assert content == expected


def typed(text: str, kind: str) -> object:
    """A CSV cell or a JSON value's text, read without any code of the platform."""
    if kind == "uuid":
        return UUID(text)
    if kind == "timestamp":
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    if kind in ("position", "money"):
        return Decimal(text)
    if kind in ("integer", "small"):
        return int(text)
    if kind == "flag":
        return {"true": True, "false": False}[text.lower()]
    return text


def read_back(dataset: str, file_format: str, content: bytes) -> list[Row]:
    kinds = {column.name: column.type for column in DATASETS[dataset].columns}
    if file_format == "parquet":
        rows = pq.read_table(pa.BufferReader(content)).to_pylist()
        return [
            {n: v.replace(tzinfo=None) if isinstance(v, datetime) else v for n, v in row.items()}
            for row in rows
        ]
    if file_format == "csv":
        reader = csv.DictReader(content.decode().splitlines(keepends=True))
        return [{n: typed(v, kinds[n]) if v else None for n, v in row.items()} for row in reader]
    text = content.decode()
    records = (
        [json.loads(line, parse_float=str) for line in text.splitlines()]
        if (file_format == "ndjson")
        else json.loads(text, parse_float=str)
    )
    return [
        {n: typed(str(v), kinds[n]) if v is not None else None for n, v in row.items()}
        for row in records
    ]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("dataset", list(RECORDS))
def test_values_are_read_back_by_other_readers(
    data_folder: Path, tmp_path: Path, dataset: str, file_format: str
) -> None:
    write_all()
    content = one_file(dataset, file_format, tmp_path / "out")
    if (dataset, file_format) != ("sessions", "json"):
        assert read_back(dataset, file_format, content) == RECORDS[dataset]
        return
    session = json.loads(content, parse_float=str)
    for of, inner in (("sessions", "players"), ("heartbeats", "heartbeats")):
        rows = [{"session_id": session["session_id"], **row} for row in session[inner]]
        found = read_back(of, "ndjson", "\n".join(map(json.dumps, rows)).encode())
        assert sorted(found, key=str) == sorted(RECORDS[of], key=str)


def test_parquet_says_its_types_to_any_reader(data_folder: Path, tmp_path: Path) -> None:
    write_all()
    for dataset in SIMULATED:
        export_day("odd", dataset, DAY, "parquet", tmp_path / "out")
    beats = tmp_path / "out/heartbeats/2025-01-31/heartbeats-2025-01-31.parquet"
    with duckdb.connect() as con:
        columns = con.execute(f"describe from '{beats}'").fetchall()
    assert [(name, kind) for name, kind, *_ in columns] == [
        ("session_id", "UUID"),
        ("player_id", "UUID"),
        ("team_id", "SMALLINT"),
        ("event_datetime", "TIMESTAMP WITH TIME ZONE"),
        ("position_x", "DECIMAL(7,2)"),
        ("position_y", "DECIMAL(7,2)"),
        ("position_z", "DECIMAL(7,2)"),
    ]
    for path in tmp_path.rglob("out/*/*/*.parquet"):
        # readers older than decimal32 stop at a schema of Arrow's that has it
        assert b"ARROW:schema" not in path.read_bytes()
        (dataset,) = (name for name in SIMULATED if path.name.startswith(f"{name}-"))
        schema = pq.read_schema(path)
        assert schema.names == [column.name for column in DATASETS[dataset].columns]
        for column in DATASETS[dataset].columns:
            assert schema.field(column.name).nullable == column.nullable
            if column.type == "timestamp":
                assert schema.field(column.name).type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("dataset", SIMULATED)
def test_a_day_without_records_has_no_file(
    data_folder: Path, tmp_path: Path, dataset: str, file_format: str
) -> None:
    write(dataset, RECORDS[dataset])
    assert export_day("odd", dataset, DAY, file_format, tmp_path / "out").files == 1
    write(dataset, [])
    report = export_day("odd", dataset, DAY, file_format, tmp_path / "out")
    assert (report.files, report.rows, report.bytes) == (0, 0, 0)
    if (dataset, file_format) == ("sessions", "json"):
        assert "holds 1 files of an earlier export" in report.notes[-1]
    else:
        assert contents(tmp_path / "out") == {}
        assert "has no records, and is not written" in report.notes[0]


# --- session dumps -------------------------------------------------------------------------------

POCKET = title_like(
    "sprint",
    simulation__growth=compound(150, growth=0.03),
    # so that something is bought on every day
    simulation__spending={
        "clusters": {"minnow": {"share": 1.0, "chance": 0.3, "purchases": [1, 3], "price": [0, 50]}}
    },
)
POCKET_DAYS = (date(2025, 1, 8), date(2025, 1, 9))


@pytest.fixture(scope="module")
def pocket_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two days of a small simulated title, ``pocket``."""
    folder = tmp_path_factory.mktemp("pocket") / "data"
    world = World(POCKET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPRINT_DATA_DIR", str(folder))
        for dataset in SIMULATED:
            for day in POCKET_DAYS:
                write_partition("pocket", dataset, day, getattr(world, dataset)(day), "simulated")
    return folder


@pytest.fixture
def pocket(pocket_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """``pocket`` in a data folder of the test's own."""
    shutil.copytree(pocket_folder, tmp_path / "data")
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path / "data"))
    return World(POCKET)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under the folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(tables: Iterable[pa.Table]) -> list[Row]:
    return [row for table in tables for row in table.to_pylist()]


def test_dumps_hold_every_session_and_heartbeat_once(pocket: World, tmp_path: Path) -> None:
    day = POCKET_DAYS[0]
    report = export_day("pocket", "sessions", day, "json", tmp_path / "out")
    sessions, heartbeats = rows_of(pocket.sessions(day)), rows_of(pocket.heartbeats(day))
    assert (report.files, report.rows) == (len({s["session_id"] for s in sessions}), len(sessions))
    players, beats = [], []
    for name, content in contents(tmp_path / "out/sessions" / str(day)).items():
        dump = json.loads(content, parse_float=str)
        assert name == f"{dump['session_id']}.json"
        own = {"session_id": dump["session_id"]}
        assert dump["start_time"] == min(player["started_at"] for player in dump["players"])
        assert dump["end_time"] == max(player["event_datetime"] for player in dump["players"])
        times = [beat["event_datetime"] for beat in dump["heartbeats"]]
        assert times == sorted(times)
        players += [own | player for player in dump["players"]]
        beats += [own | beat for beat in dump["heartbeats"]]
    for dataset, dumped, made in (
        ("sessions", players, sessions),
        ("heartbeats", beats, heartbeats),
    ):
        found = read_back(dataset, "ndjson", "\n".join(map(json.dumps, dumped)).encode())
        assert sorted(found, key=str) == sorted(made, key=str)


def test_dumps_do_not_depend_on_how_many_are_made_at_once(
    pocket: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = POCKET_DAYS[0]
    report = export_day("pocket", "sessions", day, "json", tmp_path / "whole")
    monkeypatch.setattr(export, "HEARTBEATS_IN_MEMORY", 300)
    monkeypatch.setattr(export, "HEARTBEATS_AS_TEXT", 70)
    assert export_day("pocket", "sessions", day, "json", tmp_path / "shares") == report
    assert report.files > 3
    assert contents(tmp_path / "whole") == contents(tmp_path / "shares")


def test_a_session_without_heartbeats_has_none_in_its_file(
    data_folder: Path, tmp_path: Path
) -> None:
    other = [row | {"session_id": TWO} for row in RECORDS["sessions"]]
    write("sessions", [*RECORDS["sessions"], *other])
    write("heartbeats", RECORDS["heartbeats"])
    assert export_day("odd", "sessions", DAY, "json", tmp_path).notes == ()
    found = contents(tmp_path / "sessions/2025-01-31")
    assert found[f"{ID}1.json"].decode() == DUMP
    assert json.loads(found[f"{ID}2.json"])["heartbeats"] == []


def test_what_a_dump_cannot_hold_is_noted(data_folder: Path, tmp_path: Path) -> None:
    write("sessions", RECORDS["sessions"])
    (note,) = export_day("odd", "sessions", DAY, "json", tmp_path / "none").notes
    assert note == "2025-01-31 has no partition of heartbeats: the sessions' files hold none"
    write("heartbeats", [*RECORDS["heartbeats"], RECORDS["heartbeats"][0] | {"session_id": TWO}])
    (note,) = export_day("odd", "sessions", DAY, "json", tmp_path / "lost").notes
    assert note.startswith("2025-01-31: 1 heartbeats are in no file")
    write("heartbeats", [])
    write("sessions", [row | {"session_id": TWO} for row in RECORDS["sessions"]])
    (note,) = export_day("odd", "sessions", DAY, "json", tmp_path / "lost").notes
    assert "lost/sessions/2025-01-31 holds 1 files of an earlier export too" in note


# --- again, and when something goes wrong --------------------------------------------------------


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("dataset", SIMULATED)
def test_the_same_records_give_the_same_bytes(
    pocket: World, tmp_path: Path, dataset: str, file_format: str
) -> None:
    first = export_day("pocket", dataset, POCKET_DAYS[0], file_format, tmp_path / "one")
    (tmp_path / "two").mkdir()
    other_file = tmp_path / "two" / "notes.txt"
    other_file.write_text("mine")
    for _ in range(2):  # in another folder, and over what lies there
        assert export_day("pocket", dataset, POCKET_DAYS[0], file_format, tmp_path / "two") == first
    other_file.unlink()
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert first.bytes == sum(len(content) for content in contents(tmp_path / "one").values())


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("dataset", ["sessions", "heartbeats"])
def test_an_error_leaves_the_earlier_export_as_it_was(
    pocket: World, tmp_path: Path, dataset: str, file_format: str
) -> None:
    day = POCKET_DAYS[0]
    folder = tmp_path / "out"
    export_day("pocket", dataset, day, file_format, folder)
    before = contents(folder)
    write_partition("pocket", dataset, day, getattr(pocket, dataset)(POCKET_DAYS[1]), "other")
    manifest = read_manifest("pocket", dataset, day)
    assert manifest is not None
    (part,) = manifest.paths
    damaged = bytearray(part.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    part.write_bytes(damaged)
    with pytest.raises(PartitionError, match="is damaged: materialize"):
        export_day("pocket", dataset, day, file_format, folder)
    assert contents(folder) == before
    assert not list(folder.rglob(".*"))


def test_a_missing_partition_leaves_no_trace(data_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PartitionError, match="there is no partition 2025-01-31 of odd/sessions"):
        export_day("odd", "sessions", DAY, "json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("own", ["raw", "landed"])
def test_the_platforms_own_folders_are_refused(data_folder: Path, tmp_path: Path, own: str) -> None:
    write_all()
    before = contents(data_folder)
    link = tmp_path / "link"
    link.symlink_to(data_folder / own)
    for folder in (data_folder / own, data_folder / "x" / ".." / own / "odd", link / "odd"):
        with pytest.raises(ExportError, match="export elsewhere"):
            export_day("odd", "heartbeats", DAY, "csv", folder)
        with pytest.raises(ExportError, match="export elsewhere"):
            export_products(table_of("products", RECORDS["products"]), "csv", folder)
    assert contents(data_folder) == before


# --- the command ---------------------------------------------------------------------------------

Sprint = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sprint_export(
    tmp_path: Path,
    titles_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Sprint:
    """Runs ``sprint export …`` for the title ``pocket``; returns (exit code, stdout, stderr)."""
    shipped = (project_root() / "sprint_platform" / "titles" / "sprint.yaml").read_text()
    (titles_folder / "pocket.yaml").write_text(shipped.replace("name: sprint", "name: pocket"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sprint", "export", "--title", "pocket", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def test_the_command_says_what_it_wrote_and_what_was_not_there(
    pocket: World, sprint_export: Sprint, tmp_path: Path
) -> None:
    code, out, err = sprint_export(
        "--dataset", "heartbeats", "--format", "csv", "--from", "2025-01-07", "--to", "2025-01-10"
    )  # fmt: skip
    assert code == 0
    assert err == "left out 2 of 4 days have no partition: 2025-01-07, 2025-01-10\n"
    files = contents(tmp_path / "data/export/pocket")
    assert list(files) == [f"heartbeats/{day}/heartbeats-{day}.csv" for day in POCKET_DAYS]
    rows = sum(len(rows_of(pocket.heartbeats(day))) for day in POCKET_DAYS)
    assert sum(content.count(b"\n") for content in files.values()) == rows + 2
    assert f"pocket/heartbeats: 2 files, {rows:,} rows, " in out
    assert str(tmp_path / "data/export/pocket/heartbeats") in out


def test_the_command_exports_the_catalogue(
    data_folder: Path, sprint_export: Sprint, tmp_path: Path
) -> None:
    code, _, err = sprint_export(
        "--dataset", "products", "--format", "csv", "--out", str(tmp_path / "shop")
    )
    assert (code, err) == (0, "")
    content = (tmp_path / "shop/products/catalogue/products.csv").read_bytes()
    assert read_back("products", "csv", content) == read_catalogue().to_pylist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "2026-01-01"), "there are no partitions of pocket/sessions from 2026-01-01"),
        (("--from", "2024-12-31"), "title pocket launches on 2025-01-01"),
        (("--from", "tomorrow"), "--from is a day such as 2025-01-31, not 'tomorrow'"),
        (("--title", "nope"), "unknown title 'nope'"),
        (
            ("--from", "2025-01-08", "--out", "{data}/raw/pocket"),
            "where the platform keeps its own files",
        ),
        (
            ("--from", "2025-01-08", "--out", "{data}/landed"),
            "where the platform keeps its own files",
        ),
        (("--from", "2025-01-08", "--out", "{data}/taken"), "cannot be written: Not a directory"),
    ],
)
def test_a_mistake_is_refused_in_one_line(
    pocket: World, sprint_export: Sprint, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "data/taken").write_text("a file")
    before = contents(tmp_path / "data")
    where = [argument.format(data=tmp_path / "data") for argument in arguments]
    code, out, err = sprint_export("--dataset", "sessions", "--format", "json", *where)
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert "rows" not in out
    assert contents(tmp_path / "data") == before


# --- back through landing ------------------------------------------------------------------------

DATED = ("dim_players", "signons", "transactions")
# What a studio might deliver: the format of each dataset. The dumps bring the heartbeats along.
DELIVERIES: dict[str, dict[str, str]] = {
    **{file_format: dict.fromkeys(SIMULATED, file_format) for file_format in ("csv", "ndjson")},
    "parquet": dict.fromkeys(SIMULATED, "parquet"),
    "json": {"sessions": "json", **dict.fromkeys(DATED, "json")},
    "json heartbeats": {"sessions": "csv", "heartbeats": "json", **dict.fromkeys(DATED, "csv")},
    "json twice": {"sessions": "json", "heartbeats": "json", **dict.fromkeys(DATED, "parquet")},
}


def copy_title(datasets: Iterable[str]) -> Title:
    """A title that lands what ``pocket`` exports."""
    settings = POCKET.model_dump(exclude={"simulation", "name", "source"})
    landing = {"datasets": list(datasets), "reject_limit": 0}
    return Title.model_validate(
        settings | {"name": "copy", "source": "landing", "landing": landing}
    )


@pytest.fixture(scope="module")
def landed(
    pocket_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, LandReport]]:
    """A data folder in which the delivery of that name was exported, copied and landed; once."""
    done: dict[str, tuple[Path, LandReport]] = {}

    def make(delivery: str) -> tuple[Path, LandReport]:
        if delivery not in done:
            folder = tmp_path_factory.mktemp("landed") / "data"
            shutil.copytree(pocket_folder, folder)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SPRINT_DATA_DIR", str(folder))
                for dataset, file_format in DELIVERIES[delivery].items():
                    for day in POCKET_DAYS:
                        export_day("pocket", dataset, day, file_format, folder / "export/pocket")
                shutil.copytree(folder / "export/pocket", folder / "landing/copy")
                done[delivery] = folder, land(copy_title(SIMULATED))
        return done[delivery]

    return make


@pytest.mark.parametrize("dataset", SIMULATED)
@pytest.mark.parametrize("delivery", list(DELIVERIES))
def test_what_is_exported_lands_back_whole(
    landed: Callable[[str], tuple[Path, LandReport]],
    monkeypatch: pytest.MonkeyPatch,
    delivery: str,
    dataset: str,
) -> None:
    folder, report = landed(delivery)
    monkeypatch.setenv("SPRINT_DATA_DIR", str(folder))
    assert {file.status for file in report.files} == {"new"}
    assert sum(file.rejected + file.waiting for file in report.files) == 0
    assert partition_days("copy", dataset) == list(POCKET_DAYS)
    for day in POCKET_DAYS:
        exported = read_manifest("pocket", dataset, day)
        copied = read_manifest("copy", dataset, day)
        assert exported is not None
        assert copied is not None
        assert exported.rows > 0
        assert copied.digest == exported.digest


def test_heartbeats_that_come_twice_are_dropped_once(
    landed: Callable[[str], tuple[Path, LandReport]],
) -> None:
    once, twice = landed("json")[1], landed("json twice")[1]
    heartbeats = sum(f.rows_read for f in once.files if f.dataset == "heartbeats")
    assert sum(f.duplicates for f in once.files) == 0
    assert sum(f.duplicates for f in twice.files) == heartbeats > 0


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_catalogue_lands_back_whole(data_folder: Path, file_format: str) -> None:
    catalogue = read_catalogue()
    export_products(catalogue, file_format, data_folder / "landing" / "copy")
    title = copy_title(["products"])
    land(title)
    assert digest_table(landed_products(title)) == digest_table(catalogue)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("dataset", DATED)
def test_awkward_text_and_parts_of_seconds_land_back_whole(
    data_folder: Path, dataset: str, file_format: str
) -> None:
    write_all()
    export_day("odd", dataset, DAY, file_format, data_folder / "landing" / "copy")
    land(copy_title([dataset]))
    written, landed_back = (read_manifest(name, dataset, DAY) for name in ("odd", "copy"))
    assert written is not None
    assert landed_back is not None
    assert landed_back.digest == written.digest
