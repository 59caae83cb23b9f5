"""Files that are not long and flat, read by a select of the title; and selects that want more than
the file."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pytest

from sprint_platform.landing import select_reading
from sprint_platform.landing.chunks import Piece
from sprint_platform.landing.files import FileRefused, Found, landing_dir, open_file
from sprint_platform.landing.land import LandReport, land
from sprint_platform.landing.register import LandingError
from sprint_platform.places import project_root
from sprint_platform.storage.partitions import read_partition
from sprint_platform.title import Title, TitleError, read_title
from sprint_platform_tests.test_landing_reading import found

DAY = datetime(2025, 3, 1).date()
TITLE = """\
name: attic
launch_date: 2025-03-01
seed: 0
source: landing
grid: {x: [-1000, 20000], y: [-1000, 20000]}
encounters: {distance: 50, gap_seconds: 180}
landing:
  reject_limit: 1
"""


def landed(titles_folder: Path, yaml: str, files: dict[str, str | bytes]) -> LandReport:
    """A landing of these files by a title that goes on so."""
    path = titles_folder / "attic.yaml"
    path.write_text(TITLE + yaml)
    for name, content in files.items():
        file = landing_dir("attic") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return land(read_title(path))


def records(dataset: str, *columns: str) -> list[tuple[Any, ...]]:
    """The partition's records, sorted."""
    found = [
        tuple(record[name] for name in columns)
        for table in read_partition("attic", dataset, DAY)
        for record in table.to_pylist()
    ]
    return sorted(found, key=str)


def accepted(report: LandReport) -> dict[str, tuple[int, int]]:
    return {f.file: (f.rows_read, f.accepted) for f in report.files}


WIDE = """\
Tracking export,,,,,
,,Home,,Away,
Period,Time [s],Player1 x,Player1 y,Player2 x,Player2 y
1,0.0,10,20,30,40
1,30.0,11,21,NaN,NaN
1,60.0,12,22,32,42
"""
WIDE_TITLE = """\
  mapping:
    teams: labels
    defaults: {sessions: {kills: 0, deaths: 0}, heartbeats: {position_z: 0}}
  read:
    sessions: |
      select 'match-7' as session_id, unnest(['home-1', 'away-2']) as player_id,
        unnest(['home', 'away']) as team_id,
        timestamp '2025-03-01 20:00:00' as started_at,
        timestamp '2025-03-01 20:00:00' + to_seconds(max(column1) + 30) as event_datetime
      from read_csv($file, skip = 3, header = false, nullstr = 'NaN')
    heartbeats: |
      with frames as (
        from read_csv($file, skip = 3, header = false, nullstr = 'NaN', names =
          ['period', 's', 'home-1_x', 'home-1_y', 'away-2_x', 'away-2_y'])
      ), long as (
        unpivot frames on columns('_[xy]$') into name cell value v
      )
      select regexp_extract(filename, 'match-\\d+') as session_id,
        regexp_replace(cell, '_[xy]$', '') as player_id,
        timestamp '2025-03-01 20:00:00' + to_seconds(s) as event_datetime,
        max(v) filter (cell like '%x') as position_x, max(v) filter (cell like '%y') as position_y
      from long, (select $file as filename) group by all order by 2, 3
"""


def test_a_wide_tracking_table_with_header_rows(data_folder: Path, titles_folder: Path) -> None:
    report = landed(
        titles_folder, WIDE_TITLE, {"sessions/match-7.csv": WIDE, "heartbeats/match-7.csv": WIDE}
    )
    assert accepted(report) == {"sessions/match-7.csv": (2, 2), "heartbeats/match-7.csv": (5, 5)}
    beats = records("heartbeats", "event_datetime", "position_x", "team_id")
    assert [(t.second + 60 * t.minute, float(x), team) for t, x, team in beats] == [
        (0, 10.0, 2), (0, 30.0, 1), (30, 11.0, 2), (60, 12.0, 2), (60, 32.0, 1),
    ]  # fmt: skip


MATCH = {
    "metadata": {"matchId": "EUW1_7"},
    "info": {
        "gameCreation": 1740823200000,
        "gameDuration": 120,
        "participants": [
            {"puuid": "a", "teamId": 100, "kills": 3, "deaths": 1, "win": True},
            {"puuid": "b", "teamId": 200, "kills": 1, "deaths": 3, "win": False},
        ],
        "frames": [
            {
                "timestamp": 60000 * n,
                "participantFrames": {
                    "1": {"participantId": 1, "position": {"x": 500 + n, "y": 14000}},
                    "2": {"participantId": 2, "position": {"x": 700, "y": 600}},
                },
            }
            for n in range(2)
        ],
    },
}
MATCH_TITLE = """\
  mapping:
    epoch_unit: ms
    columns:
      sessions: {player_id: puuid, team_id: teamId, won: win}
    defaults: {heartbeats: {position_z: 0}}
  read:
    sessions: |
      select metadata.matchId as session_id, p.puuid, p.teamId, p.kills, p.deaths, p.win,
        info.gameCreation as started_at,
        info.gameCreation + 1000 * info.gameDuration as event_datetime
      from read_json($file), unnest(info.participants) as parts(p)
    heartbeats: |
      with frames as (
        select metadata.matchId as session_id, info, unnest(info.frames) as frame
        from read_json($file)
      ), players as (
        select *, unnest(map_values(cast(frame.participantFrames as
          map(varchar, struct(participantId int, "position" struct(x int, y int)))))) as p
        from frames
      )
      select session_id, info.participants[p.participantId].puuid as player_id,
        info.gameCreation + frame.timestamp as event_datetime,
        p."position".x as position_x, p."position".y as position_y
      from players
"""


def test_a_match_with_participants_and_frames(data_folder: Path, titles_folder: Path) -> None:
    content = json.dumps(MATCH)
    report = landed(
        titles_folder,
        MATCH_TITLE,
        {
            "sessions/EUW1_7.json.gz": gzip.compress(content.encode()),
            "heartbeats/EUW1_7.json": content,
        },
    )
    assert accepted(report) == {"sessions/EUW1_7.json.gz": (2, 2), "heartbeats/EUW1_7.json": (4, 4)}
    assert [row[:2] for row in records("sessions", "kills", "won", "player_id")] == [
        (1, False), (3, True),
    ]  # fmt: skip
    assert {float(x) for (x,) in records("heartbeats", "position_x")} == {500.0, 501.0, 700.0}


def test_players_within_frames_money_in_micros_and_what_has_no_format(
    data_folder: Path, titles_folder: Path
) -> None:
    frames = [
        {"match": 7, "t": 1740823200 + n, "players": [{"id": p, "xy": [p, n]} for p in (1, 2)]}
        for n in (0, 30)
    ]
    report = landed(
        titles_folder,
        """\
  datasets: [heartbeats, transactions]
  mapping: {epoch_unit: s, defaults: {heartbeats: {position_z: 0}}}
  read:
    heartbeats: |
      select match as session_id, p.id as player_id, t as event_datetime, p.xy[1] as position_x,
        p.xy[2] as position_y
      from read_json($file, format = 'newline_delimited'), unnest(players) as of_frame(p)
    transactions: |
      select md5(concat_ws('|', day, buyer, n)) as transaction_id, buyer as player_id,
        day as event_datetime, 'SKU-' || n as purchase_item, micros / 1e6 as purchase_price,
        'EUR' as currency, false as is_recurring, 'Skin' as transaction_type
      from read_csv($file, delim = '|', header = true)
""",
        {
            "heartbeats/frames.log": "".join(json.dumps(frame) + "\n" for frame in frames),
            "transactions/shop": "day|buyer|n|micros\n2025-03-01|1|4|4990000\n",
        },
    )
    assert accepted(report) == {"heartbeats/frames.log": (4, 4), "transactions/shop": (1, 1)}
    assert [str(p) for (p,) in records("transactions", "purchase_price")] == ["4.99"]


def test_rejects_name_the_row_of_the_result(data_folder: Path, titles_folder: Path) -> None:
    report = landed(
        titles_folder,
        "  datasets: [signons]\n  read: {signons: \"select column0 as player_id, 'pc' as platform,"
        ' column1 as signed_on_at from read_csv($file, skip=1, header=false)"}\n',
        {"signons/a.csv": "written by hand\na,2025-03-01 10:00:00\nb,soon\n"},
    )
    (file,) = report.files
    assert (file.accepted, file.rejected) == (1, 1)
    assert "(first: signons/a.csv row 2 " in (file.detail or "")


def _refused(titles_folder: Path, select: str, files: dict[str, str | bytes] | None = None) -> str:
    yaml = f"  datasets: [signons]\n  read:\n    signons: |\n      {select}\n"
    report = landed(titles_folder, yaml, files or {"signons/a.csv": "player_id\na\n"})
    (file,) = (f for f in report.files if f.file == "signons/a.csv")
    assert (file.status, file.accepted) == ("refused", 0)
    return f"{file.reason}: {file.detail}"


OTHER = (
    "select 'p' as player_id, 'pc' as platform, now()::varchar as signed_on_at, x.* from $file, "
)


@pytest.mark.parametrize(
    "select",
    [
        OTHER + "read_text('{other}') as x",
        OTHER + "read_blob('/proc/self/environ') as x",
        OTHER + "glob('{folder}/*') as x",
        OTHER + "read_csv('{folder}/*.csv') as x",
        OTHER + "'{other}' as x",
        OTHER + "sniff_csv('{other}') as x",
        OTHER + "read_csv('https://example.com/x.csv') as x",
        OTHER + "sqlite_scan('{other}', 't') as x",
        OTHER + "sys as x",
        OTHER + "query('copy (select 1) to ''{folder}/made.csv''') as x",
        OTHER + "query('attach ''{folder}/made.db''') as x",
    ],
)
def test_a_select_sees_its_file_and_nothing_else(
    data_folder: Path, titles_folder: Path, tmp_path: Path, select: str
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("secret\n1\n")
    before = sorted(os.listdir(tmp_path))
    line = _refused(titles_folder, select.format(other=other, folder=tmp_path))
    assert line.startswith("select_failed: ")
    assert "secret" not in line
    assert set(os.listdir(tmp_path)) <= {*before, "data"}


def test_a_name_that_is_a_pattern_opens_no_other_file(
    data_folder: Path, titles_folder: Path
) -> None:
    select = "select *, 'pc' as platform, '2025-03-01' as signed_on_at from read_csv($file)"
    yaml = f'  datasets: [signons]\n  read: {{signons: "{select}"}}\n'
    files: dict[str, str | bytes] = {
        f"signons/{name}.csv": f"player_id\n{name}\n" for name in ("a*", "ab", "c[1]", "c1", "it's")
    }
    report = landed(titles_folder, yaml, files)
    assert accepted(report) == {
        "signons/a*.csv": (1, 1), "signons/ab.csv": (1, 1), "signons/c[1].csv": (1, 1),
        "signons/c1.csv": (1, 1), "signons/it's.csv": (1, 1),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("select", "why"),
    [
        ("select list_transform(range(900000000), x -> x::varchar) as l from $file", "memory"),
        (
            "with recursive t as (select 1 as n from $file union all select n + 1 from t)"
            " select 'p' as player_id, 'pc' as platform, '2025-03-01' as signed_on_at from t"
            " where n < 0",
            "took 3 s of processor time",
        ),
        (
            # few enough to be held: of a hundred million a quick machine first lacked the memory
            "select count(*) from range(5000000) a, range(5000000) b, $file"
            " where a.range < b.range",
            "took 3 s of processor time",
        ),
    ],
)
def test_what_has_no_end_is_ended(
    data_folder: Path, titles_folder: Path, monkeypatch: pytest.MonkeyPatch, select: str, why: str
) -> None:
    monkeypatch.setattr(select_reading, "SECONDS", 3)
    monkeypatch.setattr(select_reading, "ADDRESS_SPACE", 2**30 * 3 // 2)
    assert why in _refused(titles_folder, select)


MANY_ROWS = "select 'p' as player_id, range as platform, 0 as signed_on_at from range({}), $file"


def _reading(folder: Path, select: str) -> tuple[Path, Iterator[Piece]]:
    """A file, and its pieces by the select; the process starts with the first."""
    path = folder / "a.csv"
    path.write_text("player_id\na\n")
    of_file = dataclasses.replace(found(path, "signons"), select=select)
    return path, select_reading.select_pieces(of_file, set())


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes of selects, as they are started."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))
        return started[-1]

    popen = subprocess.Popen
    monkeypatch.setattr(select_reading.subprocess, "Popen", start)
    return started


@pytest.mark.parametrize(
    ("by", "why"), [(signal.SIGKILL, "memory is scarce"), (signal.SIGTERM, "ended by SIGTERM")]
)
def test_a_process_that_ends_within_a_batch_refuses_its_file(
    tmp_path: Path, workers: list[subprocess.Popen[bytes]], by: signal.Signals, why: str
) -> None:
    _, pieces = _reading(tmp_path, MANY_ROWS.format(9_000_000))
    # a process inherits what is held back
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        next(pieces)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    for _ in range(2):
        next(pieces)
    # once a batch has begun, the process waits within it: it is more than a pipe holds
    assert isinstance(workers[0].stdout, io.BufferedReader)
    assert workers[0].stdout.peek(1)
    workers[0].send_signal(by)
    with pytest.raises(FileRefused, match=why) as refused:
        list(pieces)
    assert refused.value.passing


def test_other_files_land_beside_one_that_cannot_be_read_now(
    data_folder: Path,
    titles_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pieces_of(of_file: Found, worker: Any) -> Iterator[Piece]:
        if of_file.path.name == "a.csv":
            worker._process.kill()
        return pieces(of_file, worker)

    pieces = select_reading._pieces
    select = "select *, 'pc' as platform, '2025-03-01' as signed_on_at from read_csv($file)"
    yaml = f'  datasets: [signons]\n  read: {{signons: "{select}"}}\n'
    files: dict[str, str | bytes] = {f"signons/{name}.csv": f"player_id\n{name}\n" for name in "ab"}
    with monkeypatch.context() as patch:
        patch.setattr(select_reading, "_pieces", pieces_of)
        report = landed(titles_folder, yaml, files)
    assert accepted(report) == {"signons/a.csv": (0, 0), "signons/b.csv": (1, 1)}
    # the same file, and its process does not end
    assert accepted(landed(titles_folder, yaml, {})) == {"signons/a.csv": (1, 1)}


def test_the_clock_of_a_select_stands_while_its_rows_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[threading.Timer] = []

    class Clock(threading.Timer):
        def start(self) -> None:
            running.append(self)
            super().start()

        def cancel(self) -> None:
            running.remove(self)
            super().cancel()

    monkeypatch.setattr(select_reading.threading, "Timer", Clock)
    _, pieces = _reading(tmp_path, MANY_ROWS.format(200_000))
    stood = [not running for _ in pieces]
    assert len(stood) > 2
    assert all(stood)


def test_a_select_that_gives_nothing_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select_reading, "PATIENCE", 0)
    with pytest.raises(FileRefused, match="gave no rows for 0 s"):
        list(_reading(tmp_path, MANY_ROWS.format(1))[1])


@pytest.mark.parametrize("returns", [True, False])
def test_no_other_file_is_read_in_the_place_of_a_select(tmp_path: Path, returns: bool) -> None:
    other = tmp_path / "other"
    other.write_text("player_id\nsecret\n")
    select = "select *, '2025-03-01' as signed_on_at, 'pc' as platform from read_csv($file)"
    path, pieces = _reading(tmp_path, select)
    aside = path.with_name("aside")

    def swapped(found: Path) -> BinaryIO:
        file = open_file(found)
        path.rename(aside)
        path.symlink_to(other)
        return file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(select_reading, "open_file", swapped)
        next(pieces)
        if returns:
            path.unlink()
            aside.rename(path)
        with pytest.raises(FileRefused) as refused:
            list(pieces)
    assert refused.value.code == ("unreadable" if returns else "symlink")


def test_a_result_without_end_is_refused(
    data_folder: Path, titles_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select_reading, "MOST_BYTES", 1_000_000)
    select = (
        "select 'p' as player_id, 'pc' as platform, '2025-03-01' as signed_on_at from"
        " range(100000000), $file"
    )
    assert "decompression_bomb" in _refused(titles_folder, select)


def test_a_wrong_select_refuses_the_file_in_one_line(
    data_folder: Path, titles_folder: Path
) -> None:
    line = _refused(titles_folder, "select nothing from $file")
    assert 'Referenced column "nothing" not found' in line
    line = _refused(titles_folder, "select error('in memory of a file') from $file")
    assert "in memory of a file" in line
    line = _refused(titles_folder, "select 1 as x from $file")
    assert "wrong_header: player_id, platform, signed_on_at missing" in line


@pytest.mark.parametrize(
    ("select", "why"),
    [
        ("select 1; select 2 from $file", "must be one statement, and a select"),
        ("copy (from $file) to 'x.csv'", "must be one statement, and a select"),
        ("attach $file", "must be one statement, and a select"),
        ("install httpfs; from $file", "must be one statement, and a select"),
        ("set memory_limit = $file", "must be one statement, and a select"),
        ("call pragma_version($file)", "must be one statement, and a select"),
        ("-- $file", "must be one statement, and a select"),
        ("select 1", "names no $file"),
        ("selec x from $file", "syntax error"),
    ],
)
def test_a_select_is_checked_when_the_title_is_read(
    titles_folder: Path, select: str, why: str
) -> None:
    path = titles_folder / "attic.yaml"
    path.write_text(TITLE + f'  read: {{heartbeats: "{select}"}}\n')
    with pytest.raises(TitleError, match=r"landing\.read") as wrong:
        read_title(path)
    assert why in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_another_select_reads_the_files_again() -> None:
    def fingerprint(read: dict[str, str]) -> str:
        return Title.model_validate(
            {
                "name": "attic", "launch_date": "2025-03-01", "seed": 0, "source": "landing",
                "encounters": {"distance": 50, "gap_seconds": 180}, "landing": {"read": read},
            }
        ).landing_fingerprint  # fmt: skip

    assert len({fingerprint(r) for r in ({}, {"sessions": "from $file"})}) == 2


def test_parquet_of_duckdbs_second_writer(data_folder: Path, titles_folder: Path) -> None:
    for dataset, columns in (
        ("sessions", "1::ubigint as team_id, 0 as kills, 0 as deaths, t as started_at,"
         " t + interval 1 hour as event_datetime"),
        ("heartbeats", "t as event_datetime, 1.5::float as position_x, 2::utinyint as position_y,"
         " 0::decimal(5,1) as position_z"),
    ):  # fmt: skip
        path = landing_dir("attic") / dataset / "v2.parquet"
        path.parent.mkdir(parents=True)
        with duckdb.connect() as con:
            con.execute(
                f"copy (select 'session-with-a-long-name-' || i as session_id, uuid_of as"
                f" player_id, {columns} from (select i, timestamptz '2025-03-01 10:00:00+00' as t,"
                " '0ded8df6-b9b0-41e7-9667-02ff607182ab'::uuid as uuid_of from range(100) r(i)))"
                f" to '{path}' (format parquet, parquet_version v2, compression zstd)"
            )
    report = landed(titles_folder, "", {})
    assert accepted(report) == {
        "sessions/v2.parquet": (100, 100), "heartbeats/v2.parquet": (100, 100),
    }  # fmt: skip


def test_events_as_a_backend_exports_them(data_folder: Path, titles_folder: Path) -> None:
    """One file of all kinds of events (as PlayFab's): each dataset takes its own."""
    login = {
        "EventName": "player_logged_in", "Timestamp": "2025-03-01T10:00:00.1234567Z",
        "EntityId": "A1B2C3D4E5F60718", "Platform": "Custom",
        "PlayerLocation": {"CountryCode": "DE"},
    }  # fmt: skip
    paid = {
        "EventName": "player_realmoney_purchase", "Timestamp": "2025-03-01T10:05:00Z",
        "EntityId": "A1B2C3D4E5F60718", "OrderId": "O-1", "OrderTotal": 499,
        "TransactionCurrency": "USD", "PurchasedProduct": ["sku-4"],
    }  # fmt: skip
    events = "".join(json.dumps(event) + "\n" for event in (login, paid, {"EventName": "other"}))
    report = landed(
        titles_folder,
        """\
  datasets: [signons, transactions]
  mapping: {values: {platform: {Custom: pc}}}
  read:
    signons: |
      select EntityId as player_id, PlayerLocation.CountryCode as country, Platform,
        Timestamp as signed_on_at
      from read_json($file, format = 'newline_delimited') where EventName = 'player_logged_in'
    transactions: |
      select OrderId as transaction_id, EntityId as player_id, Timestamp as event_datetime,
        PurchasedProduct[1] as purchase_item, OrderTotal / 100 as purchase_price,
        TransactionCurrency as currency, false as is_recurring, 'Skin' as transaction_type
      from read_json($file, format = 'newline_delimited')
      where EventName = 'player_realmoney_purchase'
""",
        {"signons/events.json": events, "transactions/events.json": events},
    )
    assert accepted(report) == {"signons/events.json": (1, 1), "transactions/events.json": (1, 1)}
    assert records("signons", "country", "platform") == [("DE", "pc")]
    ids = {table["player_id"][0] for table in read_partition("attic", "transactions", DAY)}
    assert ids == {table["player_id"][0] for table in read_partition("attic", "signons", DAY)}


def test_a_warehouses_csv_needs_no_select(data_folder: Path, titles_folder: Path) -> None:
    """As BigQuery and Snowflake write it: zones apart, nulls as words, ids that were floats."""
    report = landed(
        titles_folder,
        """\
  datasets: [signons]
  mapping:
    columns: {signons: {player_id: user_pseudo_id, signed_on_at: event_timestamp}}
    values: {platform: {IOS: mobile}}
    defaults: {signons: {platform: pc}}
""",
        {
            "signons/bq.csv": "user_pseudo_id,event_timestamp,country\n"
            "1234567890.0,2025-03-01 12:00:00 UTC,null\n"
            "1234567890,2025-03-01 13:00:00.000001 UTC,DE\n"
            "\\N,2025-03-01 13:00:00 UTC,DE\n"
        },
    )
    (file,) = report.files
    assert (file.accepted, file.rejected, file.duplicates) == (1, 1, 1)
    assert records("signons", "country") == [("ZZ",)]


def test_a_firehose_file_needs_no_select(data_folder: Path, titles_folder: Path) -> None:
    beats = [
        {"session_id": 7, "player_id": p, "event_datetime": f"2025-03-01T10:00:{n:02}.5Z",
         "position_x": n, "position_y": p}
        for n in range(20) for p in (1, 2)
    ]  # fmt: skip
    report = landed(
        titles_folder,
        "  datasets: [heartbeats]\n",
        {"heartbeats/fh.ndjson.gz": gzip.compress("".join(map(json.dumps, beats)).encode())},
    )
    assert accepted(report) == {"heartbeats/fh.ndjson.gz": (40, 40)}
    assert len(records("sessions", "player_id")) == 2


KART = """\
  datasets: [signons]
  mapping: {time_zone: Europe/Berlin, defaults: {signons: {platform: pc}}}
  read:
    signons: |
      select Fahrer as player_id, {time} as signed_on_at
      from read_csv($file, delim = ';', encoding = 'latin-1', types = {Zeit: varchar})
"""


def test_local_times_of_another_form_and_letters_of_another_encoding(
    data_folder: Path, titles_folder: Path
) -> None:
    files: dict[str, str | bytes] = {
        "signons/kart.csv": "Fahrer;Zeit\nJörg;01.03.2025 20:15:00\n".encode("latin-1")
    }
    form = "strptime(Zeit, '%d.%m.%Y %H:%M:%S')"
    report = landed(titles_folder, KART.replace("{time}", f"{form}::varchar"), files)
    assert accepted(report) == {"signons/kart.csv": (1, 1)}
    assert records("signons", "signed_on_at") == [(datetime(2025, 3, 1, 19, 15),)]
    landed(titles_folder, KART.replace("{time}", f"{form}::timestamptz"), {})
    assert records("signons", "signed_on_at") == [(datetime(2025, 3, 1, 20, 15),)]
    # a file that was landed is not lost because of a select that does not read it
    with pytest.raises(LandingError, match="unclear_time") as error:
        landed(titles_folder, KART.replace("{time}", form), {})
    assert "signed_on_at::varchar where it is in Europe/Berlin" in str(error.value)


@pytest.mark.parametrize("text", ["2025-03-01T10:00:00Z", "2025-03-01T12:00:00+02:00"])
def test_a_zone_that_a_reader_drops_is_no_local_time(
    data_folder: Path, titles_folder: Path, text: str
) -> None:
    """DuckDB reads both as 10:00 without a zone, which would be 09:00 in UTC."""
    yaml = """\
  datasets: [signons]
  mapping: {time_zone: Europe/Berlin, defaults: {signons: {platform: pc}}}
  read: {signons: "select who as player_id, CLOCK as signed_on_at from read_json($file)"}
"""
    files: dict[str, str | bytes] = {
        "signons/a.json": json.dumps({"who": "anna", "clock": {"utc": text}}),
    }
    (file,) = landed(titles_folder, yaml.replace("CLOCK", "clock.utc"), files).files
    assert (file.status, file.reason) == ("refused", "unclear_time")
    landed(titles_folder, yaml.replace("CLOCK", "clock.utc::timestamptz"), {})
    assert records("signons", "signed_on_at") == [(datetime(2025, 3, 1, 10),)]


def test_batches_of_positions_within_events(data_folder: Path, titles_folder: Path) -> None:
    """As Unity's analytics exports custom events: a player's positions as a list of arrays, by
    offsets from the event's time, which has its zone apart."""
    events = [
        {
            "eventName": "positionBatch", "eventTimestamp": f"2025-03-01 10:0{k}:00.123 +00:00",
            "userID": f"u{p}", "eventParams": {
                "matchId": "m0",
                "samples": [{"offsetMs": 30000 * i, "pos": [10 * p + i, 2, 0.5]} for i in (0, 1)],
            },
        }
        for p in range(3) for k in (0, 1)
    ]  # fmt: skip
    others = [{"eventName": "gameStarted", "userID": "u0", "eventParams": {"map": "dust"}}]
    report = landed(
        titles_folder,
        """\
  datasets: [heartbeats]
  read:
    heartbeats: |
      select eventParams.matchId as session_id, userID as player_id,
        strptime(eventTimestamp, '%Y-%m-%d %H:%M:%S.%g %z') + to_milliseconds(s.offsetMs)
          as event_datetime,
        s.pos[1] as position_x, s.pos[2] as position_y, s.pos[3] as position_z
      from read_json($file, format = 'newline_delimited'),
        unnest(eventParams.samples) as of_batch(s)
      where eventName = 'positionBatch'
""",
        {"heartbeats/unity.jsonl": "".join(json.dumps(e) + "\n" for e in (*others, *events))},
    )
    assert accepted(report) == {"heartbeats/unity.jsonl": (12, 12)}
    times = sorted({time for (time,) in records("heartbeats", "event_datetime")})
    assert [time.strftime("%H:%M:%S.%f") for time in times] == [
        "10:00:00.123000", "10:00:30.123000", "10:01:00.123000", "10:01:30.123000",
    ]  # fmt: skip


def test_nested_parquet_with_microseconds(data_folder: Path, titles_folder: Path) -> None:
    path = landing_dir("attic") / "heartbeats" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute(
            "copy (select {'id': 'M1'} as match, [{'account': 7000 + p, 'path': [{'us':"
            " 1740823200000000 + 500000 * k, 'at': {'x': k + 1.5 * p, 'y': p}} for k in range(4)]}"
            f" for p in range(2)] as players) to '{path}' (format parquet)"
        )
    report = landed(
        titles_folder,
        """\
  datasets: [heartbeats]
  mapping: {epoch_unit: us, time_zone: Europe/Berlin}
  read:
    heartbeats: |
      select match.id as session_id, p.account as player_id, s.us as event_datetime,
        s."at".x as position_x, s."at".y as position_y
      from read_parquet($file), unnest(players) as of_match(p), unnest(p.path) as of_path(s)
""",
        {},
    )
    assert accepted(report) == {"heartbeats/part-0.parquet": (8, 8)}
    assert records("heartbeats", "event_datetime", "position_x")[0] == (
        datetime(2025, 3, 1, 10), 0,
    )  # fmt: skip


def test_what_cannot_be_read_says_how_it_could(data_folder: Path, titles_folder: Path) -> None:
    report = landed(
        titles_folder,
        "  datasets: [heartbeats]\n",
        {
            "heartbeats/a.csv": "session_id;player_id;event_datetime;position_x;position_y\n"
            "s;p;01.03.2025 20:15:00;1;2\ns;p;2025-03-01 20:15:00;1,5;2\n"
        },
    )
    (file,) = report.files
    assert "unparseable of event_datetime: times are ISO 8601" in (file.detail or "")
    assert "unparseable of position_x: numbers have a decimal point" in (file.detail or "")


def documented() -> list[str]:
    """What the documentation's examples of selects write below ``landing:``."""
    page = (project_root() / "docs" / "landing.md").read_text(encoding="utf-8")
    start = "yaml\nlanding:\n"
    return [part.removeprefix(start) for part in page.split("```") if part.startswith(start)]


def test_the_selects_of_the_documentation_run(data_folder: Path, titles_folder: Path) -> None:
    nested, _ = documented()
    match = {
        "id": "m-1", "start": "2025-03-01 20:00:00", "stop": "2025-03-01 20:05:00",
        "participants": [{"name": f"{side}-{n}", "side": side} for side, n in
                         (("home", 7), ("away", 9))],
    }  # fmt: skip
    report = landed(
        titles_folder,
        nested,
        {
            "sessions/m-1.json": json.dumps(match),
            "heartbeats/m-1.csv": "a\nb\nc\n0,1,2,3,4\n30,5,6,7,8\n",
        },
    )
    assert accepted(report) == {"sessions/m-1.json": (2, 2), "heartbeats/m-1.csv": (4, 4)}


def test_the_documentations_select_over_excels_csv_runs(
    data_folder: Path, titles_folder: Path
) -> None:
    _, german = documented()
    text = "Rennen;Fahrer;Zeit;X;Y\nR1;Jörg;01.03.2025 20:15:00;1,5;1.000,25\n"
    report = landed(
        titles_folder,
        "  datasets: [heartbeats]\n" + german,
        {"heartbeats/m-1.csv": text.encode("latin-1")},
    )
    assert accepted(report) == {"heartbeats/m-1.csv": (1, 1)}
    assert records("heartbeats", "event_datetime", "position_x", "position_y") == [
        (datetime(2025, 3, 1, 19, 15), Decimal("1.5"), Decimal("1000.25"))
    ]
