"""One landing as a user sees it: limits, dry runs, files that change or break, and crashes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import psutil
import pytest

from sprint_platform.engines.duckdb_file import connect
from sprint_platform.landing import delivered_files
from sprint_platform.landing import land as landing
from sprint_platform.landing.changed_partitions import ChangedPartitions
from sprint_platform.landing.files import content_digest, folder_state, landing_dir, unreadable
from sprint_platform.landing.land import LandReport, land
from sprint_platform.landing.past_landings import (
    is_held_back,
    landings_since,
    last_landed_state,
    next_day,
)
from sprint_platform.landing.products import landed_products
from sprint_platform.landing.register import LandingError, landed_dir
from sprint_platform.operations.landed import load_landed
from sprint_platform.orchestration.landing_sensor import build_landing_sensor
from sprint_platform.places import data_dir
from sprint_platform.storage.partitions import read_manifest, read_partition
from sprint_platform.title import Title
from sprint_platform_tests.other_process import dead_process

DAY = date(2025, 3, 1)
SESSIONS = "session_id,player_id,team_id,started_at,event_datetime,kills,deaths\n"
BEATS = "session_id,player_id,event_datetime,position_x,position_y,position_z\n"


def title(**landing: object) -> Title:
    return Title.model_validate(
        {
            "name": "attic",
            "launch_date": "2025-01-01",
            "seed": 0,
            "source": "landing",
            "encounters": {"distance": 50, "gap_seconds": 180},
            "landing": landing,
        }
    )


def deliver(name: str, text: str) -> Path:
    path = landing_dir("attic") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def session(name: str, player: str, start: str, end: str, team: int = 1, kills: int = 0) -> str:
    return f"{name},{player},{team},{start},{end},{kills},0\n"


def beat(name: str, player: str, at: str, x: float = 1) -> str:
    return f"{name},{player},{at},{x},0,0\n"


def two_files() -> None:
    """A session of two players with two heartbeats each."""
    start, end = "2025-03-01 20:00:00", "2025-03-01 20:10:00"
    deliver(
        "sessions/a.csv", SESSIONS + session("s", "p", start, end) + session("s", "q", start, end)
    )
    deliver(
        "heartbeats/a.csv",
        BEATS + "".join(beat("s", who, f"2025-03-01 20:0{n}:00") for who in "pq" for n in (0, 1)),
    )


def counts(report: LandReport) -> dict[str, tuple[int, int, int, int, int]]:
    return {
        file.file: (file.rows_read, file.accepted, file.rejected, file.duplicates, file.waiting)
        for file in report.files
    }


def everything() -> Iterator[tuple[str, bytes]]:
    """What lies in the data folder, but the landing folder, locks and the register's pages."""
    for path in sorted(data_dir().rglob("*")):
        if "landing" in path.relative_to(data_dir()).parts[0]:
            continue
        if path.is_file() and path.suffix not in (".lock", ".duckdb") and path.name != "held_back":
            yield str(path), path.read_bytes()


def rows(query: str) -> list[tuple[object, ...]]:
    with connect() as con:
        return con.execute(query).fetchall()


def test_the_report_says_what_became_of_every_row_and_why_partitions_change(
    data_folder: Path,
) -> None:
    two_files()
    more = (
        beat("s", "p", "2025-03-01 20:00:00")  # says it again
        + beat("s", "p", "2025-03-01 20:01:00", x=9)  # contradicts what came before
        + beat("s", "p", "2025-03-01 21:00:00")  # after the session
        + beat("s", "nobody", "2025-03-01 20:02:00")  # the session's record may still come
        + beat("later", "p", "2025-03-01 20:02:00")
        + beat("s", "p", "not a time")
        + beat("s", "p", "2025-03-01 20:03:00", x=1000)  # beyond the grid
    )
    deliver("heartbeats/b.csv", BEATS + more)
    report = land(title(reject_limit=1))
    assert counts(report) == {
        "sessions/a.csv": (2, 2, 0, 0, 0),
        "heartbeats/a.csv": (4, 4, 0, 0, 0),
        "heartbeats/b.csv": (7, 0, 4, 1, 2),
    }
    assert [(c.dataset, c.day, c.rows_before, c.rows_after) for c in report.changes] == [
        ("heartbeats", DAY, None, 4),
        ("sessions", DAY, None, 2),
    ]
    assert report.changes[0].why == "new heartbeats/a.csv, new heartbeats/b.csv"
    with connect() as con:
        load_landed(con, title(reject_limit=1))
    assert rows("select row, reason from attic_raw.rejected order by row") == [
        (2, "duplicate_key"),
        (3, "outside_session"),
        (6, "unparseable"),
        (7, "out_of_range"),
    ]
    assert rows("select first_row, last_row from attic_raw.duplicates") == [(1, 1)]
    assert rows("select sum(heartbeats), count(*) from attic_raw.pending_session") == [(2, 2)]


def test_what_waited_is_admitted_when_its_session_comes(data_folder: Path) -> None:
    deliver("heartbeats/a.csv", BEATS + beat("s", "p", "2025-03-02 00:01:00"))
    game = title()
    first = land(game)
    assert counts(first) == {"heartbeats/a.csv": (1, 0, 0, 0, 1)}
    assert not first.changes
    deliver(
        "sessions/late.csv",
        SESSIONS + session("s", "p", "2025-03-01 23:50:00", "2025-03-02 00:10:00"),
    )
    second = land(game)
    # the heartbeat belongs to the day on which its session started
    assert {(c.dataset, c.day, c.rows_after) for c in second.changes} == {
        ("sessions", DAY, 1),
        ("heartbeats", DAY, 1),
    }
    assert counts(second)["heartbeats/a.csv"] == (1, 1, 0, 0, 0)
    with connect() as con:
        load_landed(con, game)
    assert rows("select count(*) from attic_raw.pending_session") == [(0,)]


def test_a_session_that_moves_to_another_day_reopens_both(data_folder: Path) -> None:
    game = title()
    end = "2025-03-02 00:30:00"
    deliver("sessions/b.csv", SESSIONS + session("s", "p", "2025-03-02 00:10:00", end))
    deliver("heartbeats/a.csv", BEATS + beat("s", "p", "2025-03-02 00:20:00"))
    next_day = date(2025, 3, 2)
    assert land(game).days == [next_day]
    deliver("sessions/a.csv", SESSIONS + session("s", "q", "2025-03-01 23:59:00", end))
    report = land(game)
    assert {(c.dataset, c.day, c.rows_after) for c in report.changes} == {
        ("sessions", DAY, 2),
        ("sessions", next_day, 0),
        ("heartbeats", DAY, 1),
        ("heartbeats", next_day, 0),
    }


def test_a_dry_run_says_the_same_and_changes_nothing(data_folder: Path) -> None:
    two_files()
    game = title()
    passed: Counter[str] = Counter()
    dry = land(game, dry_run=True, watch=lambda what, rows: passed.update({what: rows}))
    # its progress shows
    assert (passed["attic/sessions"], passed["attic/heartbeats"]) == (2, 4)
    assert not list(everything())
    assert not (data_dir() / "landed" / "attic" / "landing.duckdb").exists()
    assert last_landed_state(game) is None
    real = land(game)
    assert (dry.files, dry.changes) == (real.files, real.changes)
    deliver("heartbeats/b.csv", BEATS + beat("s", "p", "2025-03-01 20:05:00"))
    before = list(everything())
    assert land(game, dry_run=True).days == [DAY]
    assert list(everything()) == before


def test_too_many_rejects_change_nothing_and_say_why(data_folder: Path) -> None:
    two_files()
    game = title(reject_limit=0.3)
    land(game)
    before = list(everything())
    bad = beat("s", "p", "soon") * 2 + beat("s", "p", "2025-03-01 20:04:00") * 3
    deliver("heartbeats/b.csv", BEATS + bad)
    with pytest.raises(LandingError) as error:
        land(game)
    assert str(error.value) == (
        "attic: 2 of 5 heartbeats would be rejected (40.0%, the limit is 30.0%): 2 unparseable of"
        " event_datetime: times are ISO 8601, or numbers with epoch_unit; landing.read takes"
        " others, by strptime"
        ' (first: heartbeats/b.csv row 1 {"session_id":"s","player_id":"p",'
        '"event_datetime":"soon","position_x":"1","position_y":"0","position_z":"0"}); nothing was'
        " changed: mend the files or the mapping, or raise landing.reject_limit"
    )
    assert list(everything()) == before
    assert landings_since(game, 1) == []
    assert is_held_back(game), "a sensor does not try the same files again and again"
    assert not is_held_back(title(reject_limit=0.5)), "but it does with another limit"
    # mended, it lands
    deliver("heartbeats/b.csv", BEATS + bad.replace("soon", "2025-03-01 20:05:00"))
    assert counts(land(game)) == {"heartbeats/b.csv": (5, 2, 0, 3, 0)}


def test_a_changed_file_takes_its_old_records_back(data_folder: Path) -> None:
    two_files()
    game = title()
    land(game)
    deliver("heartbeats/a.csv", BEATS + beat("s", "p", "2025-03-01 20:03:00"))
    report = land(game)
    assert [(file.file, file.status) for file in report.files] == [("heartbeats/a.csv", "changed")]
    assert [(c.dataset, c.rows_before, c.rows_after) for c in report.changes] == [
        ("heartbeats", 4, 1)
    ]
    # what a duplicate stood behind comes forward when the first copy goes
    deliver("heartbeats/b.csv", BEATS + beat("s", "p", "2025-03-01 20:03:00"))
    assert counts(land(game)) == {"heartbeats/b.csv": (1, 0, 0, 1, 0)}
    deliver("heartbeats/a.csv", BEATS)
    assert counts(land(game)) == {
        "heartbeats/a.csv": (0, 0, 0, 0, 0),
        "heartbeats/b.csv": (1, 1, 0, 0, 0),
    }


def test_a_change_is_noticed_by_content_when_size_and_time_are_the_same(data_folder: Path) -> None:
    two_files()
    game = title()
    land(game)
    path = landing_dir("attic") / "heartbeats" / "a.csv"
    stat = path.stat()
    path.write_text(path.read_text().replace(",1,0,0", ",2,0,0"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert folder_state(game) != last_landed_state(game)
    assert [change.dataset for change in land(game).changes] == ["heartbeats"]
    # touched without a change: nothing lands
    path.touch()
    assert folder_state(game) != last_landed_state(game)
    assert land(game).number == 0
    assert folder_state(game) == last_landed_state(game)


def test_a_broken_file_is_refused_and_the_version_before_it_stays(data_folder: Path) -> None:
    two_files()
    game = title()
    land(game)
    before = list(read_partition("attic", "heartbeats", DAY))
    whole = (landing_dir("attic") / "heartbeats" / "a.csv").read_text()
    deliver("heartbeats/a.csv", whole[:-4])
    deliver("heartbeats/z.csv", "")
    report = land(game)
    assert [(file.file, file.reason) for file in report.files] == [
        ("heartbeats/a.csv", "half_written"),
        ("heartbeats/z.csv", "empty_file"),
    ]
    assert not report.changes
    assert list(read_partition("attic", "heartbeats", DAY)) == before
    with connect() as con:
        load_landed(con, game)
        files = con.execute(
            "select file, status, reason, accepted from attic_raw.landed_files order by file"
        ).fetchall()
    assert files == [
        ("heartbeats/a.csv", "refused", "half_written", 4),
        ("heartbeats/z.csv", "refused", "empty_file", 0),
        ("sessions/a.csv", "landed", None, 2),
    ]
    assert land(game).number == 0, "it is not refused again until it changes"
    deliver("heartbeats/a.csv", whole)
    land(game)
    with connect() as con:
        load_landed(con, game)
        assert con.execute(
            "select status from attic_raw.landed_files where file = 'heartbeats/a.csv'"
        ).fetchone() == ("landed",)
        assert con.execute(
            "select file, reason from attic_raw.rejected where row is null"
        ).fetchall() == [("heartbeats/z.csv", "empty_file")]


def test_a_file_that_is_taken_away_stays_landed(data_folder: Path) -> None:
    two_files()
    game = title()
    land(game)
    (landing_dir("attic") / "heartbeats" / "a.csv").unlink()
    assert land(game).number == 0
    manifest = read_manifest("attic", "heartbeats", DAY)
    assert manifest is not None
    assert manifest.rows == 4


def test_another_mapping_reads_the_files_again(data_folder: Path) -> None:
    two_files()
    land(title())
    moved = title(mapping={"position_scale": [2, 1, 1]})
    report = land(moved)
    assert [(c.dataset, c.rows_after) for c in report.changes] == [("heartbeats", 4)]
    positions = {
        row["position_x"]
        for table in read_partition("attic", "heartbeats", DAY)
        for row in table.to_pylist()
    }
    assert {float(x) for x in positions} == {2.0}


@pytest.mark.parametrize(
    ("of", "step"), [(ChangedPartitions, "put_in_place"), (landing, "sweep_staged")]
)
def test_a_landing_that_is_killed_after_its_commit_is_finished_by_the_next(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, of: object, step: str
) -> None:
    two_files()
    game = title()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(of, step, killed)
        with pytest.raises(KeyboardInterrupt):
            land(game)
    unfinished = [f".{name}.{dead_process()}.tmp" for name in ("state", "landing.duckdb")]
    left = [landed_dir("attic") / name for name in unfinished]
    for path in left:
        path.touch()
    land(game)
    assert not [path for path in left if path.exists()]
    for dataset, expected in (("sessions", 2), ("heartbeats", 4)):
        manifest = read_manifest("attic", dataset, DAY)
        assert manifest is not None
        assert manifest.rows == expected
    changes = {(c.dataset, c.day) for one in landings_since(game, 0) for c in one.changes}
    assert changes == {("sessions", DAY), ("heartbeats", DAY)}, "whoever waits for them finds them"


@pytest.mark.parametrize("dataset", ["sessions", "heartbeats"])
@pytest.mark.parametrize("damage", ["manifest", "short", "gone"])
def test_a_partition_that_is_lost_or_damaged_is_made_again_without_the_files(
    data_folder: Path, dataset: str, damage: str
) -> None:
    two_files()
    game = title()
    land(game)
    for path in landing_dir("attic").rglob("*.csv"):
        path.unlink()
    before = read_manifest("attic", dataset, DAY)
    assert before is not None
    if damage == "manifest":
        (before.folder / "manifest.json").write_text("{")
    elif damage == "short":
        os.truncate(before.paths[0], before.bytes // 2)
    else:
        before.paths[0].unlink()
    report = land(game)
    assert [(change.dataset, change.day) for change in report.changes] == [(dataset, DAY)]
    assert "made again" in report.changes[0].why
    after = read_manifest("attic", dataset, DAY)
    assert after is not None
    assert after.digest == before.digest
    assert sum(table.num_rows for table in read_partition("attic", dataset, DAY)) == before.rows


def test_a_landing_that_fails_before_its_commit_leaves_nothing(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_files()
    game = title()
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr("sprint_platform.storage.partitions.PartitionDraft.write", full)
        with pytest.raises(LandingError, match="No space"):
            land(game)
    assert read_manifest("attic", "sessions", DAY) is None
    assert land(game).days == [DAY]


def test_the_warehouse_copies_only_what_is_new_and_recovers_when_it_is_lost(
    data_folder: Path,
) -> None:
    game = title(reject_limit=1)
    tables = ("landed_files", "rejected", "duplicates", "pending_session")
    two_files()
    for name in "bcd":
        again = beat("s", "p", "2025-03-01 20:00:00") * 2 + beat("s", "p", "later")
        waits = beat(name, "p", "2025-03-01 20:00:00")
        deliver(f"heartbeats/{name}.csv", BEATS + again + waits)
        land(game)
        with connect() as con:
            load_landed(con, game)
    # an earlier file changes, after all
    deliver("heartbeats/b.csv", BEATS + beat("s", "p", "never"))
    land(game)
    with connect() as con:
        load_landed(con, game)
    copied = {table: rows(f"select * from attic_raw.{table} order by all") for table in tables}
    assert len(copied["rejected"]) == 3
    os.replace(data_dir() / "sprint.duckdb", data_dir() / "lost.duckdb")
    with connect() as con:
        load_landed(con, game)
    for table in tables:
        assert rows(f"select * from attic_raw.{table} order by all") == copied[table]


def test_a_session_that_ends_earlier_gives_its_heartbeats_up(data_folder: Path) -> None:
    game = title(reject_limit=1)
    deliver(
        "sessions/b.csv",
        SESSIONS + session("s", "p", "2025-03-01 23:00:00", "2025-03-02 01:00:00"),
    )
    deliver(
        "heartbeats/a.csv",
        BEATS + beat("s", "p", "2025-03-01 23:10:00") + beat("s", "p", "2025-03-02 00:30:00"),
    )
    assert counts(land(game))["heartbeats/a.csv"] == (2, 2, 0, 0, 0)
    # an earlier record of the same part takes its place, and it ends before midnight
    deliver(
        "sessions/c.csv",
        SESSIONS + session("s", "p", "2025-03-01 22:00:00", "2025-03-01 23:30:00"),
    )
    assert counts(land(game)) == {
        "heartbeats/a.csv": (2, 1, 1, 0, 0),
        "sessions/b.csv": (1, 0, 1, 0, 0),
        "sessions/c.csv": (1, 1, 0, 0, 0),
    }


@pytest.mark.parametrize("split", [False, True])
def test_derived_sessions_do_not_show_how_heartbeats_were_split(
    data_folder: Path, split: bool
) -> None:
    beats = [
        beat("s", "p", f"2025-03-0{day} {hour}:00:00")
        for day, hour in ((1, 10), (2, "09"), (2, 11))
    ]
    if split:
        for number, line in enumerate(beats):
            deliver(f"heartbeats/{number}.csv", BEATS + line)
    else:
        deliver("heartbeats/all.csv", BEATS + "".join(beats))
    land(title(datasets=["heartbeats"], reject_limit=1))
    (part,) = [
        row for table in read_partition("attic", "sessions", DAY) for row in table.to_pylist()
    ]
    # the third comes more than a day after the first, and is none of the session
    assert part["event_length_seconds"] == 23 * 3600 + 30


def test_another_mapping_is_not_mixed_with_what_can_no_longer_be_read(data_folder: Path) -> None:
    two_files()
    land(title())
    (landing_dir("attic") / "heartbeats" / "a.csv").unlink()
    before = list(everything())
    with pytest.raises(LandingError, match=r"1 landed files cannot be read .*heartbeats/a\.csv"):
        land(title(mapping={"teams": "labels"}))
    assert list(everything()) == before


def test_a_register_that_is_made_anew_empties_the_copies(data_folder: Path) -> None:
    game = title(reject_limit=1)
    deliver("heartbeats/old.csv", BEATS + beat("s", "p", "never"))
    land(game)
    with connect() as con:
        load_landed(con, game)
    (landing_dir("attic") / "heartbeats" / "old.csv").unlink()
    shutil.rmtree(data_dir() / "landed")
    deliver("heartbeats/new.csv", BEATS + beat("s", "p", "never"))
    land(game)
    with connect() as con:
        load_landed(con, game)
    assert rows("select file from attic_raw.landed_files") == [("heartbeats/new.csv",)]
    assert rows("select file from attic_raw.rejected") == [("heartbeats/new.csv",)]


def test_a_refusal_goes_with_its_file(data_folder: Path) -> None:
    two_files()
    path = deliver("session/a.csv", "in the wrong folder")
    game = title()
    assert [file.reason for file in land(game).files if file.reason] == ["unknown_dataset"]
    shutil.rmtree(path.parent)
    land(game)
    with connect() as con:
        load_landed(con, game)
    assert rows("select count(*) from attic_raw.landed_files where status = 'refused'") == [(0,)]


def test_staged_records_that_are_lost_are_read_again(data_folder: Path) -> None:
    two_files()
    game = title()
    land(game)
    shutil.rmtree(data_dir() / "landed" / "attic" / "staged")
    deliver("heartbeats/b.csv", BEATS + beat("s", "p", "2025-03-01 20:05:00"))
    report = land(game)
    assert [(c.dataset, c.rows_after) for c in report.changes] == [("heartbeats", 5)]


def evaluated(title: Title) -> dg.SensorResult | dg.SkipReason:
    """What the title's sensor says to an instance that has run nothing."""
    jobs = [dg.define_asset_job(f"attic_{name}") for name in ("land", "daily", "reopened")]
    sensor = build_landing_sensor(title, *jobs, [])
    with dg.DagsterInstance.ephemeral() as instance:
        found = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


@pytest.mark.parametrize("datasets", [["sessions", "heartbeats"], ["heartbeats"]])
def test_the_sensor_lands_what_waited_when_its_day_has_come(
    data_folder: Path, datasets: list[str]
) -> None:
    two_files()
    if datasets == ["heartbeats"]:
        shutil.rmtree(landing_dir("attic") / "sessions")
    studio = title(datasets=datasets)
    land(studio, today=DAY - timedelta(days=2))
    assert next_day(studio) == DAY
    asked = evaluated(studio)
    assert isinstance(asked, dg.SensorResult)
    (request,) = asked.run_requests or []
    assert request.job_name == "attic_land"
    # its tries are none of those of the folder, which is as it was
    assert request.run_key == f"attic-land-{folder_state(studio)}-{DAY}-0"
    report = land(studio, today=DAY)
    assert {change.day for change in report.changes if change.rows_after} == {DAY}
    assert next_day(studio) is None


def test_a_day_to_come_is_not_landed_before_it_comes(data_folder: Path) -> None:
    day = datetime.now(UTC).date() + timedelta(days=2)
    deliver("sessions/a.csv", SESSIONS + session("s", "p", f"{day} 10:00", f"{day} 11:00"))
    land(title())
    assert next_day(title()) == day
    asked = evaluated(title())
    assert not isinstance(asked, dg.SensorResult) or not asked.run_requests


def test_what_could_not_be_read_for_no_fault_of_its_own_is_read_again(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_files()

    def broken(path: Path) -> str:
        if path.parent.name == "sessions":
            raise unreadable(OSError(errno.EIO, "Input/output error"))
        return content_digest(path)

    with monkeypatch.context() as patch:
        patch.setattr(delivered_files, "content_digest", broken)
        report = land(title(), today=DAY)
        assert [(f.file, f.reason) for f in report.files if f.status == "refused"] == [
            ("sessions/a.csv", "unreadable")
        ]
        assert next_day(title()) == DAY + timedelta(days=1)
        # the same again is no news
        assert land(title(), today=DAY).number == 0
    assert counts(land(title(), today=DAY)) == {
        "sessions/a.csv": (2, 2, 0, 0, 0),
        "heartbeats/a.csv": (4, 4, 0, 0, 0),
    }
    assert next_day(title()) is None
    assert rows_of_refused() == []


def rows_of_refused() -> list[tuple[str]]:
    with duckdb.connect(str(landed_dir("attic") / "landing.duckdb"), read_only=True) as con:
        return con.execute("select name from refused").fetchall()


def test_what_the_system_refuses_is_named_in_one_line(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_files()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("sprint_platform.landing.staging.StagedWriter.write", full)
        with pytest.raises(LandingError, match="No space left on device"):
            land(title())
    assert land(title()).days == [DAY]


def test_more_small_files_than_a_process_may_have_open_land(data_folder: Path) -> None:
    game = title()
    for number in range(300):
        deliver(f"heartbeats/{number}.csv", BEATS + beat("s", f"p{number}", "2025-03-01 20:01:00"))
    # 1,024 in most places; other tests of this process may have left some open
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256 + psutil.Process().num_fds(), hard))
    try:
        report = land(game)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    assert sum(file.waiting for file in report.files) == 300


@pytest.mark.parametrize(
    "mapping",
    [
        {"columns": {"sessions": {"contry": "land"}}},
        {"defaults": {"sessions": {"kill": 0}}},
        {"values": {"plattform": {"ios": "mobile"}}},
    ],
)
def test_a_misspelt_column_of_the_mapping_is_refused(
    data_folder: Path, mapping: dict[str, object]
) -> None:
    two_files()
    with pytest.raises(LandingError, match=r"the contract has no such column"):
        land(title(mapping=mapping))


def test_products_are_landed_without_days(data_folder: Path) -> None:
    game = title(
        datasets=["products"],
        mapping={
            "defaults": {
                "products": {
                    "tier": "Standard", "is_recurring": False, "created_at": "2025-01-01",
                    "last_modified_at": "2025-01-01",
                }
            }
        },
    )  # fmt: skip
    assert landed_products(game).num_rows == 0
    header = "product_id,product_sku,product_name,purchase_price,transaction_type\n"
    deliver("products/p.csv", header + "7,SKU-1000,Hat,4.99,Skin\n")
    report = land(game)
    assert [(c.dataset, c.rows_after) for c in report.changes] == [("products", 1)]
    assert report.days == []
    assert landed_products(game)["product_name"].to_pylist() == ["Hat"]


def test_heartbeats_alone_make_their_sessions(data_folder: Path) -> None:
    game = title(datasets=["heartbeats"])
    deliver(
        "heartbeats/a.csv",
        BEATS
        + beat("s", "p", "2025-03-01 23:59:30")
        + beat("s", "p", "2025-03-02 00:00:00")
        + beat("s", "q", "2025-03-02 00:00:30"),
    )
    report = land(game)
    assert report.days == [DAY]
    found = [
        (row["started_at"].isoformat(), row["event_length_seconds"], row["country"], row["team_id"])
        for table in read_partition("attic", "sessions", DAY)
        for row in table.to_pylist()
    ]
    # a heartbeat stands for its thirty seconds
    assert sorted(found) == [
        ("2025-03-01T23:59:30", 60, "ZZ", 1),
        ("2025-03-02T00:00:30", 30, "ZZ", 1),
    ]


def test_a_simulated_title_lands_nothing(data_folder: Path) -> None:
    with pytest.raises(LandingError, match="simulated"):
        land(Title.load("sprint"))


def test_the_register_keeps_no_lock(data_folder: Path) -> None:
    two_files()
    land(title())
    with duckdb.connect(str(data_dir() / "landed" / "attic" / "landing.duckdb")) as con:
        assert con.execute("select count(*) from files").fetchone() == (2,)
