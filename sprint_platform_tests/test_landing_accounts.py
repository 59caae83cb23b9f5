"""What becomes of records that no table takes: before the launch, to come, too long, waiting. A
file's rows are accepted, rejected, waiting or duplicates, and accepted ones are in a table."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sprint_platform.core.window import ranges
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.landing import admission, intake, text_blocks
from sprint_platform.landing.files import landing_dir
from sprint_platform.landing.ids import hashed_id
from sprint_platform.landing.land import LandReport, TooManyRejects, land
from sprint_platform.landing.register import landed_dir, open_register
from sprint_platform.operations.catch_up import few_runs
from sprint_platform.operations.landed import load_landed
from sprint_platform.operations.seconds_columns import fit_seconds
from sprint_platform.storage.partitions import partition_days, read_manifest, read_partition
from sprint_platform.title import Grid, Title, TitleError, read_title
from sprint_platform_tests.test_landing_reading import Read

SESSIONS = "session_id,player_id,team_id,started_at,event_datetime,kills,deaths"
BEATS = "session_id,player_id,event_datetime,position_x,position_y,position_z"
TODAY = date(2025, 6, 1)


def a_title(launch_date: str = "2025-03-01", **landing: Any) -> Title:
    return Title.model_validate(
        {
            "name": "attic",
            "launch_date": launch_date,
            "seed": 0,
            "source": "landing",
            "encounters": {"distance": 50, "gap_seconds": 180},
            "landing": {"reject_limit": 1} | landing,
        }
    )


def deliver(name: str, *lines: str) -> None:
    path = landing_dir("attic") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))


def landed(title: Title, today: date = TODAY, **options: Any) -> dict[str, tuple[int, ...]]:
    """What became of each file's records: accepted, rejected, duplicates, waiting. As many were
    read, and as many as were accepted are in the partitions of days that the graph has."""
    return counts(land(title, today=today, **options))


def counts(report: LandReport) -> dict[str, tuple[int, ...]]:
    for file in report.files:
        assert file.rows_read == file.accepted + file.rejected + file.duplicates + file.waiting
    return {
        f.file: (f.accepted, f.rejected, f.duplicates, f.waiting)
        for f in report.files
        if f.status != "refused"
    }


def rows(dataset: str) -> dict[str, int]:
    """The rows of each day's partition that has some."""
    found = {}
    for day in partition_days("attic", dataset):
        manifest = read_manifest("attic", dataset, day)
        if manifest and manifest.rows:
            found[str(day)] = manifest.rows
    return found


def detail(report: LandReport, file: str) -> str:
    return next(f.detail or "" for f in report.files if f.file == file)


@pytest.mark.parametrize(
    ("dataset", "header", "line"),
    [
        ("sessions", SESSIONS, "s,p,1,{time},{time},0,0"),
        ("heartbeats", BEATS, "s,p,{time},0,0,0"),
        ("signons", "player_id,platform,signed_on_at", "p,pc,{time}"),
        (
            "transactions",
            "transaction_id,player_id,event_datetime,purchase_item,purchase_price,currency,"
            "is_recurring,transaction_type",
            "t,p,{time},SKU-1,1,EUR,false,Skin",
        ),
    ],
)
def test_times_before_the_launch_are_rejected(
    tmp_path: Path, dataset: str, header: str, line: str
) -> None:
    column = {"sessions": "started_at", "signons": "signed_on_at"}.get(dataset, "event_datetime")

    def reasons(time: object, **mapping: Any) -> list[tuple[int, str, str | None]]:
        text = f"{header}\n{line.format(time=time)}\n"
        launched = {"launch_date": date(2025, 1, 1)}
        return Read(tmp_path / "a.csv", text, dataset, launched, **mapping).reasons

    assert reasons("2024-12-31T23:59:59.999999Z") == [(0, "before_launch", column)]
    assert reasons("2025-01-01") == []
    for unit, value, fits in (
        ("ms", 1740823200, "before_launch: epoch_unit s fits"),
        ("us", 1740823200000, "before_launch: epoch_unit ms fits"),
        ("s", 1740823200000, "out_of_range: epoch_unit ms fits"),
        ("s", 1740823200000000000, "out_of_range: epoch_unit ns fits"),
        ("ms", 86_400_000, "before_launch"),
    ):
        assert reasons(value, epoch_unit=unit) == [(0, fits, column)]


def test_players_may_have_signed_up_before_the_launch(tmp_path: Path) -> None:
    header = "player_id,display_name,language,time_zone,platform,birth_year,signed_up_at"
    read = Read(tmp_path / "a.csv", f"{header}\np,P,en,UTC,pc,1990,2024-01-01\n", "dim_players")
    assert not read.rejected


def test_too_many_times_of_another_unit_stop_the_landing_and_name_it(data_folder: Path) -> None:
    deliver(
        "sessions/a.ndjson",
        *(
            json.dumps({"session_id": s, "player_id": "p", "team_id": 1, "kills": 0, "deaths": 0,
                        "started_at": at, "event_datetime": at + 60})
            for s, at in (("s0", 1740823200), ("s1", 1740823300))
        ),
    )  # fmt: skip
    deliver(
        "sessions/b.csv",
        SESSIONS,
        "f1,p,1,2099-01-01T10:00:00Z,2099-01-01T10:05:00Z,0,0",
        "f2,p,1,2025-03-02T10:00:00Z,2025-03-02T10:05:00Z,0,0",
    )
    with pytest.raises(TooManyRejects, match=r"before_launch of started_at .*epoch_unit s fits"):
        land(a_title(mapping={"epoch_unit": "ms"}, reject_limit=0.05), today=TODAY)
    assert landed(a_title(mapping={"epoch_unit": "ms"})) == {
        "sessions/a.ndjson": (0, 2, 0, 0),
        "sessions/b.csv": (1, 0, 0, 1),
    }
    assert rows("sessions") == {"2025-03-02": 1}


def test_records_to_come_wait_for_their_day(data_folder: Path) -> None:
    title = a_title(datasets=["sessions", "heartbeats", "signons"])
    deliver("sessions/a.csv", SESSIONS, "s,p,1,2025-06-03 10:00,2025-06-03 11:00,0,0")
    deliver("heartbeats/a.csv", BEATS, *(f"s,p,2025-06-03 10:0{n},0,0,0" for n in range(3)))
    deliver(
        "signons/a.csv",
        "player_id,platform,signed_on_at",
        "p,pc,2025-06-01 23:59:59",
        "p,pc,2025-06-02 00:00:00",
    )
    report = land(title, today=TODAY)
    assert counts(report) == {
        "sessions/a.csv": (0, 0, 0, 1),
        "heartbeats/a.csv": (0, 0, 0, 3),
        "signons/a.csv": (1, 0, 0, 1),
    }
    assert detail(report, "sessions/a.csv") == "1 of sessions wait for 2025-06-03, which is to come"
    assert "3 heartbeats wait for 2025-06-03" in detail(report, "heartbeats/a.csv")
    assert rows("sessions") == rows("heartbeats") == {}
    assert rows("signons") == {"2025-06-01": 1}
    # each day comes by itself, without a new file
    assert landed(title, date(2025, 6, 2)) == {"signons/a.csv": (2, 0, 0, 0)}
    assert landed(title, date(2025, 6, 3)) == {
        "sessions/a.csv": (1, 0, 0, 0),
        "heartbeats/a.csv": (3, 0, 0, 0),
    }
    assert rows("sessions") == {"2025-06-03": 1}
    assert rows("heartbeats") == {"2025-06-03": 3}
    assert land(title, today=date(2025, 6, 4)).number == 0


def test_sessions_that_are_derived_wait_for_their_day_too(data_folder: Path) -> None:
    title = a_title(datasets=["heartbeats"])
    deliver("heartbeats/a.csv", BEATS, *(f"s,p,2025-06-02 10:0{n},0,0,0" for n in range(3)))
    assert landed(title) == {"heartbeats/a.csv": (0, 0, 0, 3)}
    assert rows("sessions") == {}
    assert landed(title, date(2025, 6, 2)) == {"heartbeats/a.csv": (3, 0, 0, 0)}
    assert (rows("sessions"), rows("heartbeats")) == ({"2025-06-02": 1}, {"2025-06-02": 3})


def test_the_order_of_landings_decides_nothing_of_days_to_come(data_folder: Path) -> None:
    title = a_title()
    deliver("heartbeats/a.csv", BEATS, "s,p,2025-06-02 10:00,0,0,0")
    land(title, today=TODAY)
    deliver("sessions/a.csv", SESSIONS, "s,p,1,2025-06-02 10:00,2025-06-02 11:00,0,0")
    assert landed(title)["sessions/a.csv"] == (0, 0, 0, 1)
    assert landed(title, date(2025, 6, 9)) == {
        "sessions/a.csv": (1, 0, 0, 0),
        "heartbeats/a.csv": (1, 0, 0, 0),
    }


def test_another_launch_says_which_records_are_outside_now(data_folder: Path) -> None:
    deliver(
        "sessions/a.csv",
        SESSIONS,
        *(f"s{day},p,1,2025-03-0{day} 10:00,2025-03-0{day} 11:00,0,0" for day in (1, 2, 3)),
    )
    assert landed(a_title()) == {"sessions/a.csv": (3, 0, 0, 0)}
    report = land(a_title("2025-03-03"), today=TODAY)
    assert counts(report) == {"sessions/a.csv": (1, 2, 0, 0)}
    assert "2 before_launch of started_at (2025-03-03)" in detail(report, "sessions/a.csv")
    assert rows("sessions") == {"2025-03-03": 1}
    assert landed(a_title("2025-03-02")) == {"sessions/a.csv": (2, 1, 0, 0)}


def test_a_session_is_no_longer_than_its_times(tmp_path: Path) -> None:
    lines = [
        f"s{n},p,1,2025-03-01 10:00:00,2025-03-01 10:01:05.2,{length},0,0"
        for n, length in enumerate(("65000", "66", "67", "60", "65.0", ""))
    ]
    header = SESSIONS.replace("event_datetime", "event_datetime,event_length_seconds")
    read = Read(tmp_path / "a.csv", "\n".join([header, *lines, ""]), "sessions")
    assert read.reasons == [(n, "longer_than_its_time", "event_length_seconds") for n in (0, 2)]
    assert [s["event_length_seconds"] for s in read.records["sessions"]] == [66, 60, 65, 65]


def test_what_heartbeats_wait_for_is_said_in_the_studios_words(data_folder: Path) -> None:
    title = a_title()
    deliver("sessions/a.csv", SESSIONS, "s1,p1,1,2025-03-01 10:00,2025-03-01 11:00,0,0")
    beats = [f"101,p1,2025-03-01 10:0{n},0,0,0" for n in range(2)]
    deliver("heartbeats/a.csv", BEATS, *beats, "s1,p2,2025-03-01 10:00,0,0,0")
    report = land(title, today=TODAY)
    assert detail(report, "heartbeats/a.csv") == (
        "2 heartbeats wait for session 101, which no file has;"
        " 1 heartbeats wait for a part of p2 in session s1, which no file has"
    )
    with connect() as con:
        load_landed(con, title)
        assert con.execute(
            "select source_session_id, source_player_id, heartbeats"
            " from attic_raw.pending_session order by all"
        ).fetchall() == [("101", "p1", 2), ("s1", "p2", 1)]


def test_rejects_have_the_studios_ids_beside_ours(data_folder: Path) -> None:
    title = a_title(mapping={"teams": "labels"})
    deliver(
        "sessions/a.csv",
        SESSIONS,
        "s1,p1,red,2025-03-01 10:00,2025-03-01 11:00,0,0",
        "s1,p1,red,2025-03-01 10:30,2025-03-01 11:30,7,0",
    )
    deliver(
        "heartbeats/a.csv",
        BEATS.replace("player_id", "player_id,team_id"),
        *(f"s1,p{n},blue,2025-03-01 1{n}:00,{n},0,0" for n in (1, 0)),
        "s1,p1,red,2025-03-01 09:00,0,0,0",
    )
    land(title, today=TODAY)
    with connect() as con:
        load_landed(con, title)
        found = con.execute(
            "select dataset, row, reason, record from attic_raw.rejected order by dataset, row"
        ).fetchall()
    assert [row[:3] for row in found] == [
        ("heartbeats", 1, "unknown_team"),
        ("heartbeats", 3, "outside_session"),
        ("sessions", 2, "duplicate_key"),
    ]
    for _, _, _, text in found:
        record = json.loads(text)
        assert (record["session_id"], record["player_id"]) == ("s1", "p1")
        ours = bytes.fromhex(record["ids"]["player_id"].replace("-", ""))
        assert ours == hashed_id("player", "p1")


def test_team_numbers_from_0_say_what_to_do(data_folder: Path) -> None:
    deliver(
        "sessions/a.csv",
        SESSIONS,
        *(f"s,p{team},{team},2025-03-01 10:00,2025-03-01 11:00,0,0" for team in (0, 1)),
    )
    report = land(a_title(), today=TODAY)
    assert "team numbers begin with 1; teams: labels takes 0 and 1" in detail(
        report, "sessions/a.csv"
    )
    assert landed(a_title(mapping={"teams": "labels"})) == {"sessions/a.csv": (2, 0, 0, 0)}


def test_words_that_are_not_known_say_which_are(data_folder: Path) -> None:
    deliver(
        "sessions/a.csv",
        SESSIONS + ",won",
        "s,p,1,2025-03-01 10:00,2025-03-01 11:00,0,0,perhaps",
    )
    deliver("signons/a.csv", "player_id,platform,signed_on_at", "p,ANDROID,2025-03-01 10:00")
    report = land(a_title(datasets=["sessions", "signons"]), today=TODAY)
    assert "flags are true, t, yes, y, 1, false" in detail(report, "sessions/a.csv")
    assert "one of pc, playstation" in detail(report, "signons/a.csv")


def test_a_day_needs_no_quotes_as_a_default(data_folder: Path) -> None:
    deliver("signons/a.csv", "player_id,platform", "p,pc")
    defaults = {"signons": {"signed_on_at": date(2025, 3, 2)}}
    title = a_title(datasets=["signons"], mapping={"defaults": defaults})
    assert landed(title) == {"signons/a.csv": (1, 0, 0, 0)}
    assert rows("signons") == {"2025-03-02": 1}


def test_a_word_that_yaml_reads_as_a_flag_is_to_be_quoted(titles_folder: Path) -> None:
    path = titles_folder / "unquoted.yaml"
    path.write_text("landing: {mapping: {values: {won: {yes: 1}}}}")
    with pytest.raises(TitleError, match="won: write True in quotes"):
        read_title(path)


@pytest.mark.parametrize(
    ("yaml", "where"),
    [
        ("{a: {x: b}, a: {y: c}}", "columns.sessions is there twice"),
        ("seed: 1\nseed: 2", "line 2: seed is there twice (first in line 1)"),
        ("- {a: 1, 'a': 2}", "0.a is there twice"),
    ],
)
def test_a_key_that_a_title_has_twice_is_an_error(
    titles_folder: Path, yaml: str, where: str
) -> None:
    if "columns" in where:
        yaml = yaml.replace("a:", "sessions:")
        yaml = f"landing:\n  mapping:\n    columns: {yaml}"
        where = "line 3: landing.mapping." + where
    path = titles_folder / "twice.yaml"
    path.write_text(yaml)
    with pytest.raises(TitleError) as wrong:
        read_title(path)
    assert where in str(wrong.value)


def test_the_parts_of_a_player_who_comes_back_are_one(data_folder: Path) -> None:
    header = SESSIONS.replace("event_datetime", "event_datetime,event_length_seconds") + ",won"
    first = "s,p,1,2025-03-01 10:00,2025-03-01 10:10,600,2,1,"
    deliver("sessions/a.csv", header, first, "s,q,2,2025-03-01 10:00,2025-03-01 11:00,,0,0,")
    deliver(
        "sessions/b.csv",
        header,
        "s,p,1,2025-03-01 10:30,2025-03-01 10:50,900,3,0,true",
        first,
        "s,p,1,2025-03-01 10:40,2025-03-01 10:55,,9,9,",  # while the part before goes on
        "s,p,2,2025-03-01 10:51,2025-03-01 10:59,,9,9,",  # in another team
    )
    deliver("heartbeats/a.csv", BEATS, *(f"s,p,2025-03-01 10:{m},0,0,0" for m in ("05", "20", 45)))
    assert landed(a_title()) == {
        "sessions/a.csv": (2, 0, 0, 0),
        "sessions/b.csv": (1, 2, 1, 0),
        "heartbeats/a.csv": (3, 0, 0, 0),
    }
    (table,) = read_partition("attic", "sessions", date(2025, 3, 1))
    columns = ("event_length_seconds", "kills", "deaths", "won")
    (joined,) = (r for r in table.to_pylist() if r["kills"])
    assert tuple(joined[name] for name in columns) == (1500, 5, 1, True)
    assert str(joined["started_at"]) == "2025-03-01 10:00:00"
    assert str(joined["event_datetime"]) == "2025-03-01 10:50:00"


@pytest.mark.parametrize("wrong", ["s,p,2,{},{},0,0", "s,p,1,{},{},0,0"], ids=["team", "overlap"])
def test_a_rejected_part_keeps_no_later_one_out(data_folder: Path, wrong: str) -> None:
    parts = [f"s,p,1,2025-03-01 10:{m}0,2025-03-01 10:{m}9,1,0" for m in (0, 2, 4)]
    wrong = wrong.format("2025-03-01 10:05", "2025-03-01 12:00")
    for name, lines in (("a", [wrong, *parts]), ("b", [*parts[::-1], wrong])):
        deliver("sessions/a.csv", SESSIONS, *lines)
        assert landed(a_title()) == {"sessions/a.csv": (3, 1, 0, 0)}, name
        (table,) = read_partition("attic", "sessions", date(2025, 3, 1))
        (joined,) = table.to_pylist()
        assert (joined["kills"], str(joined["event_datetime"])) == (3, "2025-03-01 10:49:00")


def test_a_copy_of_a_later_part_changes_nothing(data_folder: Path) -> None:
    parts = [f"s,p,1,2025-03-01 1{h}:00,2025-03-01 1{h}:30,1,0" for h in (0, 1, 2)]
    deliver("sessions/a.csv", SESSIONS, *parts)
    assert landed(a_title()) == {"sessions/a.csv": (3, 0, 0, 0)}
    deliver("sessions/b.csv", SESSIONS, *parts[::-1])
    assert landed(a_title())["sessions/b.csv"] == (0, 0, 3, 0)
    assert rows("sessions") == {"2025-03-01": 1}


def test_a_field_may_be_small_and_flat(data_folder: Path) -> None:
    title = a_title().model_copy(
        update={"grid": Grid(x=(0, 1), y=(-3, 3), z=(2, 5))}  # a pitch in shares of its length
    )
    deliver("sessions/a.csv", SESSIONS, "s,p,1,2025-03-01 10:00,2025-03-01 11:00,0,0")
    deliver(
        "heartbeats/a.csv",
        BEATS.removesuffix(",position_z"),
        "s,p,2025-03-01 10:00,0.25,2.5",
        "s,p,2025-03-01 10:01,1.25,2.5",
    )
    assert landed(title)["heartbeats/a.csv"] == (1, 1, 0, 0)
    (table,) = read_partition("attic", "heartbeats", date(2025, 3, 1))
    assert [float(table[f"position_{a}"][0].as_py()) for a in "xyz"] == [0.25, 2.5, 2.0]


def _every(days: int, count: int, first: date = date(2015, 3, 1)) -> list[date]:
    return [first + timedelta(days=days * number) for number in range(count)]


def test_a_sparse_archive_is_few_runs() -> None:
    # 68 matches on 61 days of ten years: pairs of days, seasons with summers between, two cups
    seasons = [
        day
        for year in range(2015, 2025)
        for day in (*_every(29, 5, date(year, 9, 1)), date(year, 10, 1))
    ]
    days = sorted({*seasons, date(2024, 6, 1)})
    assert (len(days), len(ranges(days))) == (61, 51)
    assert len(few_runs(days, set(days))) <= 3
    assert len(few_runs(_every(60, 61), set())) == 1
    for run in (days, _every(60, 61)):
        assert set(run) <= {day for window in few_runs(run, set()) for day in window.days}


def test_days_with_records_and_long_gaps_are_not_built_for_nothing() -> None:
    week = _every(1, 7)
    assert few_runs([week[0], week[6]], {week[3]}) == ranges([week[0], week[6]])
    assert len(few_runs([week[0], week[6]], {week[0], week[6]})) == 1
    cups = _every(730, 3)
    assert few_runs(cups, set(cups)) == ranges(cups)
    assert few_runs([], set()) == []


def test_a_file_that_is_refused_at_its_end_leaves_nothing(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a large file has so far is in the register before its end is read."""
    monkeypatch.setattr(intake, "ROWS_AT_ONCE", 0)
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 256)
    lines = [f"s{n},p{n},{n % 5},2025-03-01 10:00,2025-03-01 11:00,0,0" for n in range(40)]
    deliver("sessions/a.csv", SESSIONS, *lines, '"half')
    [file] = land(a_title(), today=TODAY).files
    assert (file.status, file.reason) == ("refused", "half_written")
    with open_register("attic") as con:
        for table in ("files", "mentions", "rejected"):
            assert con.execute(f"select count(*) from {table}").fetchone() == (0,)


def test_days_are_admitted_alike_together_and_share_by_share(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How days are grouped or cut when they are admitted decides nothing: copies, parts, labels and
    far records too."""
    title = a_title(datasets=["sessions", "signons"], mapping={"teams": "labels"})
    lines = [
        f"s{n % 7},p{n % 3},{'red' if n % 2 else 'blue'},{day} {n % 24:02}:00,{day} 23:59,1,0"
        for n in range(60)
        for day in (f"2025-03-{1 + n % 9:02}",)
    ]
    deliver("sessions/a.csv", SESSIONS, *lines, *lines[::5])
    deliver(
        "signons/a.csv",
        "player_id,platform,signed_on_at",
        *(f"p{n % 4},pc,2025-03-{1 + n % 11:02} {n % 24:02}:00" for n in range(60)),
    )

    def everything() -> tuple[object, ...]:
        shutil.rmtree(landed_dir("attic"), ignore_errors=True)
        found = landed(title)
        digests = {
            (dataset, day): manifest.digest
            for dataset in ("sessions", "signons")
            for day in partition_days("attic", dataset)
            if (manifest := read_manifest("attic", dataset, day))
        }
        with open_register("attic") as con:
            noted = [
                con.execute(f"from {table} order by all").fetchall()
                for table in ("session_ends", "team_labels")
            ]
        return found, digests, noted

    together = everything()
    monkeypatch.setattr(admission, "ROWS_ADMITTED_TOGETHER", 0)
    assert everything() == together
    monkeypatch.setattr(admission, "ROWS_PER_SHARE", 5)
    assert everything() == together


def test_beats_that_become_fractions_and_whole_again_change_the_type_of_seconds(
    data_folder: Path,
) -> None:
    data_folder.mkdir()
    whole, fraction = (
        a_title().model_copy(update={"heartbeat_seconds": seconds})
        for seconds in (30, Fraction(1, 30))
    )
    table = "attic_mart.encounter_rates_daily"
    with connect() as con:
        con.execute("create schema attic_mart")
        assert fit_seconds(con, whole) is None
        con.execute(f"create table {table} (day date, encounter_seconds bigint not null)")
        con.execute(f"insert into {table} values ('2025-03-01', 90)")
        assert fit_seconds(con, whole) is None
        line = fit_seconds(con, fraction) or ""
        assert line.startswith("attic: heartbeat_seconds is 1/30 now, so that seconds are decimal")
        assert "sprint run --title attic --stale" in line
        assert fit_seconds(con, fraction) is None
        con.execute(f"insert into {table} values ('2025-03-02', 0.433333)")
        assert "bigint, not decimal(18,6)" in (fit_seconds(con, whole) or "")
        assert con.execute(f"select encounter_seconds from {table} order by 1").fetchall() == [
            (0,), (90,),
        ]  # fmt: skip
