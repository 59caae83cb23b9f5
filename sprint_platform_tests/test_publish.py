"""What readers open: what was built and passed, only the touched periods are written anew, and it
never needs the lease."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from sprint_platform.core.errors import SprintError
from sprint_platform.engines.duckdb_file import connect
from sprint_platform.engines.load import load_partitions
from sprint_platform.places import published_dir
from sprint_platform.publish import marts, views
from sprint_platform.publish.marts import (
    Mart,
    publish,
    publish_loaded,
    unlike_published,
)
from sprint_platform.publish.views import publish_views
from sprint_platform.simulation.world import World
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import Manifest, PartitionDraft, write_partition
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform_tests.built_marts import note_built, publish_built
from sprint_platform_tests.other_process import dead_process

LEDGER = title_ledger("sprint")
DAILY = Mart("sprint_mart.daily", "sprint_mart", "calendar_date", "day", "day")
WEEKLY = Mart("sprint_mart.weekly", "sprint_mart", "year_week", "week", "week")
MONTHLY = Mart("sprint_mart.monthly", "sprint_mart", "year_month", "month", "month")
LIFETIME = Mart("sprint_mart.lifetime", "sprint_mart")
MARTS = [DAILY, WEEKLY, MONTHLY, LIFETIME]


def make_marts(con: duckdb.DuckDBPyConnection) -> None:
    """A mart of each period over 40 days."""
    con.execute("create schema sprint_mart")
    con.execute(
        "create table sprint_mart.daily as select day::date as calendar_date, 1 as n"
        " from range(date '2025-01-20', date '2025-03-01', interval 1 day) t(day)"
    )
    for name, column, part in (
        ("weekly", "year_week", "week"),
        ("monthly", "year_month", "month"),
    ):
        con.execute(
            f"create table sprint_mart.{name} as"
            f" select date_trunc('{part}', calendar_date)::date as {column}, sum(n)::bigint as n"
            " from sprint_mart.daily group by all"
        )
    con.execute(
        "create table sprint_mart.lifetime as select sum(n)::bigint as n from sprint_mart.daily"
    )


@pytest.fixture
def warehouse(data_folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with these marts, published once."""
    with connect() as con:
        make_marts(con)
        build(con, *MARTS)
        publish(con, LEDGER, MARTS)
        yield con


def build(
    con: duckdb.DuckDBPyConnection, *marts: Mart, where: str = "1 = 1", passed: bool = True
) -> None:
    for mart in marts:
        note_built(con, LEDGER, mart, where, passed)


def files() -> dict[str, int]:
    root = published_dir() / "sprint"
    return {str(path.relative_to(root)): path.stat().st_ino for path in root.glob("*/*.parquet")}


def read(query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(published_dir() / "sprint.duckdb"), read_only=True) as reader:
        return reader.execute(query).fetchall()


def test_each_period_is_a_file_and_each_mart_a_view(warehouse: duckdb.DuckDBPyConnection) -> None:
    names = set(files())
    assert len([name for name in names if name.startswith("daily/2025-")]) == 40
    assert {
        "weekly/2025-01-20.parquet",
        "monthly/2025-02-01.parquet",
        "lifetime/all.parquet",
    } <= names
    # read while the warehouse is open for writing
    assert read("select count(*), min(calendar_date) from sprint_mart.daily") == [
        (40, date(2025, 1, 20))
    ]
    assert read("select n from sprint_mart.lifetime") == [(40,)]


def test_only_what_was_built_since_is_written(warehouse: duckdb.DuckDBPyConnection) -> None:
    before = files()
    assert publish(warehouse, LEDGER, MARTS).written == 0
    assert files() == before
    warehouse.execute("update sprint_mart.daily set n = 2 where calendar_date = '2025-02-05'")
    build(warehouse, DAILY, where="period = '2025-02-05'")
    build(warehouse, WEEKLY, where="period = '2025-02-03'")
    build(warehouse, MONTHLY, where="period = '2025-02-01'")
    build(warehouse, LIFETIME)
    # a run that was killed here publishes nothing; the next one publishes what it left, and removes
    # the files that it did not finish
    dead = dead_process()
    for name in ("sprint/daily/.2025-01-20.parquet", "sprint/.ledger.parquet", ".sprint.duckdb"):
        unfinished = published_dir() / f"{name}.{dead}.tmp"
        unfinished.touch()
        unfinished.with_name(f"{unfinished.name}.wal").touch()
    publish(warehouse, LEDGER, MARTS)
    assert not [path for path in published_dir().rglob("*") if ".tmp" in path.name]
    after = files()
    assert {name for name in after if before.get(name) != after[name]} == {
        "daily/2025-02-05.parquet",
        "weekly/2025-02-03.parquet",
        "monthly/2025-02-01.parquet",
        "lifetime/all.parquet",
    }
    assert read("select sum(n) from sprint_mart.daily") == [(41,)]


def test_who_opened_the_views_before_reads_on_what_was_published_then(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """DuckDB opens a file again for its rows: another one by then, under the same name, would be
    read by the footer of the first."""
    database = published_dir() / "sprint.duckdb"
    with duckdb.connect() as reader:
        reader.execute(f"attach '{database}' as before (read_only)")
        warehouse.execute("update sprint_mart.daily set n = 2")
        build(warehouse, DAILY)
        publish(warehouse, LEDGER, MARTS)
        assert reader.execute("select sum(n) from before.sprint_mart.daily").fetchone() == (40,)
    assert read("select sum(n) from sprint_mart.daily") == [(80,)]


def test_what_was_replaced_before_every_query_began_is_removed(
    warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SECONDS_OF_A_QUERY", 0.0)
    build(warehouse, DAILY)
    publish(warehouse, LEDGER, MARTS)
    folder = published_dir() / "sprint" / "daily"
    links = {path.stat().st_ino for path in (folder / views.LINKS).iterdir()}
    assert links == {path.stat().st_ino for path in folder.glob("*.parquet")}


def test_what_did_not_pass_its_tests_stays_as_it_was_published(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("update sprint_mart.daily set n = 5")
    warehouse.execute("update sprint_mart.lifetime set n = 5")
    build(warehouse, DAILY, where="period = '2025-02-05'", passed=False)
    build(warehouse, LIFETIME)
    done = publish(warehouse, LEDGER, MARTS)
    assert done.withheld == {"daily": ["2025-02-05"]}
    # the other mart of the same run is there
    assert read("select n from sprint_mart.lifetime") == [(5,)]
    assert read("select sum(n) from sprint_mart.daily") == [(40,)]
    # mended, it comes with whatever is published next
    build(warehouse, DAILY, where="period = '2025-02-05'")
    publish(warehouse, LEDGER, [DAILY])
    assert read("select sum(n) from sprint_mart.daily") == [(44,)]


def test_few_rows_a_day_are_a_file_a_month(warehouse: duckdb.DuckDBPyConnection) -> None:
    by_month = Mart(DAILY.relation, "sprint_mart", "calendar_date", "day", "month")
    publish(warehouse, LEDGER, [by_month])
    folder = published_dir() / "sprint" / "daily"
    # the files of days gave way
    months = {path.stem: path.stat().st_ino for path in folder.glob("2025-*.parquet")}
    assert months.keys() == {"2025-01-01", "2025-02-01"}
    build(warehouse, by_month, where="period = '2025-02-02'")
    publish(warehouse, LEDGER, [by_month])
    written = {p.stem: p.stat().st_ino for p in folder.glob("2025-*.parquet")}
    assert written["2025-01-01"] == months["2025-01-01"]
    assert written["2025-02-01"] != months["2025-02-01"]
    assert read("select count(*), max(calendar_date) from sprint_mart.daily") == [
        (40, date(2025, 2, 28))
    ]
    # a month that became empty loses its file
    warehouse.execute("delete from sprint_mart.daily where calendar_date < '2025-02-01'")
    build(warehouse, by_month, where="period < '2025-02-01'")
    publish(warehouse, LEDGER, [by_month])
    assert {path.stem for path in folder.glob("2025-*.parquet")} == {"2025-02-01"}


def test_a_period_that_is_written_in_parts_is_whole(
    warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that meet in a day write a part each, and many where one file at a time is open."""
    warehouse.execute("set threads = 4; set partitioned_write_max_open_files = 1")
    warehouse.execute(
        "create table sprint_mart.large as"
        " select date '2025-01-01' + (n // 100000)::int as calendar_date, n from range(500000) t(n)"
    )
    large = Mart("sprint_mart.large", "sprint_mart", "calendar_date", "day", "day")
    build(warehouse, large)
    write, merged = marts._write, []

    def noted(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
        if query.startswith("from read_parquet(["):
            merged.append(path.stem)
        write(con, query, path)

    monkeypatch.setattr(marts, "_write", noted)
    publish(warehouse, LEDGER, [large])
    assert merged, "no day came in parts: what this test is about did not happen"
    days = (
        "select calendar_date, count(*), count(distinct n), sum(n) from sprint_mart.large"
        " group by calendar_date order by calendar_date"
    )
    assert read(days) == warehouse.execute(days).fetchall()
    assert read("select column_name from (describe sprint_mart.large)") == [
        ("calendar_date",),
        ("n",),
    ]


def test_a_period_that_became_empty_loses_its_file(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("delete from sprint_mart.daily")
    build(warehouse, DAILY, where="period = '2025-02-05'")
    publish(warehouse, LEDGER, [DAILY])
    assert "daily/2025-02-05.parquet" not in files()
    assert "daily/2025-02-06.parquet" in files()
    build(warehouse, DAILY)
    publish(warehouse, LEDGER, [DAILY])
    # a mart without any row is an empty table, with its columns
    assert read("select calendar_date, n from sprint_mart.daily") == []


def test_a_build_that_failed_takes_no_period_from_readers(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """It may have left a day without a row, of which the ledger then has no period either."""
    warehouse.execute("delete from sprint_mart.daily where calendar_date = '2025-02-05'")
    build(warehouse, DAILY, where="period = '2025-02-05'")
    noted = (
        "insert into sprint_raw.built_from values ('daily', 'sessions', '2025-02-05', 'd', 'now'"
    )
    warehouse.execute(f"{noted}, 'a run', false)")
    assert publish(warehouse, LEDGER, MARTS).withheld == {"daily": ["2025-02-05"]}
    assert read("select sum(n) from sprint_mart.daily") == [(40,)]
    warehouse.execute("update sprint_raw.built_from set passed = true")
    publish(warehouse, LEDGER, MARTS)
    assert read("select sum(n) from sprint_mart.daily") == [(39,)]


def test_columns_may_be_mixed_where_a_file_could_not_be_written(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("alter table sprint_mart.daily add column revenue integer default 3")
    build(warehouse, DAILY, where="period = '2025-01-20'", passed=False)
    publish(warehouse, LEDGER, MARTS)
    assert read("select sum(n), sum(revenue) from sprint_mart.daily") == [(40, 117)]
    build(warehouse, DAILY, where="period = '2025-01-20'")
    publish(warehouse, LEDGER, MARTS)
    assert read("select sum(n), sum(revenue) from sprint_mart.daily") == [(40, 120)]


def test_a_mart_that_is_built_whole_is_published_whole(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """A store's product may be loaded after days on which it was sold: its margins change then."""
    whole = Mart(MONTHLY.relation, "sprint_mart")
    warehouse.execute("update sprint_mart.monthly set n = 7")
    build(warehouse, whole)
    publish(warehouse, LEDGER, [whole])
    assert {name for name in files() if name.startswith("monthly/")} == {
        "monthly/columns.parquet",
        "monthly/all.parquet",
    }
    assert read("select year_month, n from sprint_mart.monthly order by 1") == [
        (date(2025, 1, 1), 7),
        (date(2025, 2, 1), 7),
    ]


def test_a_mart_that_gains_and_loses_columns_has_one_right_view(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("alter table sprint_mart.daily add column revenue integer default 3")
    # as after a full refresh: one run, and every period is another
    build(warehouse, DAILY, where="period = '2025-02-28'")
    publish(warehouse, LEDGER, MARTS)
    assert read("select sum(n), sum(revenue), count(*) from sprint_mart.daily") == [(40, 120, 40)]
    warehouse.execute("alter table sprint_mart.daily drop column n")
    build(warehouse, DAILY, where="period = '2025-02-28'")
    publish(warehouse, LEDGER, MARTS)
    described = read("describe select * from sprint_mart.daily")
    assert [name for name, *_ in described] == ["calendar_date", "revenue"]
    assert read("select sum(revenue) from sprint_mart.daily") == [(120,)]


def test_a_failed_publication_leaves_the_old_file(warehouse: duckdb.DuckDBPyConnection) -> None:
    before = files()
    warehouse.execute("create view sprint_mart.broken as select error('no') as n")
    build(warehouse, DAILY)
    warehouse.execute(
        "insert into sprint_raw.built_periods values ('broken', '', 1, 'some run', true)"
    )
    with pytest.raises(duckdb.Error, match="no"):
        publish(warehouse, LEDGER, [Mart("sprint_mart.broken", "sprint_mart"), DAILY])
    left = [path for path in published_dir().rglob("*") if path.name.endswith(".tmp")]
    assert left == []
    assert {name: inode for name, inode in files().items() if name.startswith("daily")} == {
        name: inode for name, inode in before.items() if name.startswith("daily")
    }
    # what the failed run did not publish is published by the next one
    publish(warehouse, LEDGER, [DAILY])
    written = {name: inode for name, inode in files().items() if name.startswith("daily/2025")}
    assert not written.items() & before.items()


def test_what_is_published_is_compared_with_the_warehouse(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    assert list(unlike_published(warehouse, LEDGER, MARTS)) == []
    path = published_dir() / "sprint" / "daily" / "2025-02-05.parquet"
    path.unlink()
    warehouse.execute("update sprint_mart.monthly set n = n + 1 where year_month = '2025-02-01'")
    warehouse.execute("update sprint_mart.lifetime set n = 0")
    daily, monthly, lifetime = list(unlike_published(warehouse, LEDGER, MARTS))
    assert daily[0].startswith("sprint_mart.daily is published with other rows")
    assert "1 periods from 2025-02-05" in daily[0]
    # what is to be built anew to have them published anew
    assert daily[1:] == ("2025-02-05", "2025-02-05")
    assert (monthly[0].split()[0], *monthly[1:]) == ("sprint_mart.monthly", *["2025-02-01"] * 2)
    assert (lifetime[0].split()[0], *lifetime[1:]) == ("sprint_mart.lifetime", "", "")
    # of days that are not asked for nothing is said
    day = date(2025, 1, 31)
    found = list(unlike_published(warehouse, LEDGER, MARTS, day, day))
    assert [line.split()[0] for line, _, _ in found] == ["sprint_mart.lifetime"]
    # a file that was lost is written again, though nothing was built since
    publish(warehouse, LEDGER, MARTS)
    assert path.exists()


@pytest.mark.parametrize("name", ["game [2025]", "what*", "Ben's", "a[b", "]c["])
def test_a_data_folder_may_have_the_characters_of_patterns_in_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sprint: World
) -> None:
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path / name))
    # another folder that such a pattern would match
    (tmp_path / "game 2").mkdir()
    day = sprint.title.launch_date
    manifest = write_partition("sprint", "heartbeats", day, sprint.heartbeats(day), source="test")
    with connect() as con:
        make_marts(con)
        assert (
            load_partitions(
                con, title_ledger("sprint"), DATASETS["heartbeats"], {day: manifest}
            ).added
            == manifest.rows
        )
        build(con, *MARTS)
        publish(con, LEDGER, MARTS)
        assert list(unlike_published(con, LEDGER, MARTS)) == []
        assert con.execute("select count(*) from sprint_raw.event_heartbeat").fetchone() == (
            manifest.rows,
        )
    assert read("select count(*) from sprint_mart.daily") == [(40,)]
    assert read("select count(*) from sprint_raw.event_heartbeat") == [(manifest.rows,)]
    with duckdb.connect() as con:
        assert LEDGER.published_marts(con).keys() == {"daily", "weekly", "monthly", "lifetime"}


def test_heartbeats_are_read_from_what_was_loaded(data_folder: Path, sprint: World) -> None:
    day = sprint.title.launch_date
    days = [day, day + timedelta(days=1)]

    def load(*made: date) -> None:
        with connect() as con:
            manifests = {
                day: write_partition(
                    "sprint", "heartbeats", day, sprint.heartbeats(of), source="test"
                )
                for day, of in zip(days, made, strict=True)
            }
            load_partitions(con, title_ledger("sprint"), DATASETS["heartbeats"], manifests)
            publish_loaded(con, LEDGER, views=True)
            rows.append(manifests[days[1]])

    rows: list = []
    load(*days)
    # a leftover of a crash is no part of the day
    (rows[0].folder / "part-99999-left.parquet").write_bytes(rows[0].paths[0].read_bytes())
    counted = (
        "select event_date, count(*) from sprint_raw.event_heartbeat group by all order by all"
    )
    before = read(counted)
    assert [row[0] for row in before] == days
    assert before[1][1] == rows[0].rows
    # a reader of the old view is not cut off when a day is made anew
    write_partition("sprint", "heartbeats", days[1], sprint.heartbeats(day), source="test")
    assert read(counted) == before
    load(day, day)
    assert read(counted)[1][1] != rows[0].rows
    # where the loaded files are gone, views are published nevertheless, of what is there
    made = write_partition("sprint", "heartbeats", days[0], sprint.heartbeats(days[1]), source="t")
    for path in made.folder.glob("*.parquet"):
        if path not in made.paths:
            path.unlink()
    shutil.rmtree(write_partition("sprint", "heartbeats", days[1], [], source="test").folder)
    publish_views()
    assert read(counted) == [(days[0], made.rows)]


def test_a_day_made_anew_twice_before_it_is_published_stays_readable(
    data_folder: Path, sprint: World
) -> None:
    """A run that dies between writing and publishing is followed by another."""
    day = sprint.title.launch_date
    beats = next(iter(sprint.heartbeats(day)))

    def write(rows: int) -> Manifest:
        return write_partition("sprint", "heartbeats", day, [beats[:rows]], source="test")

    counted = "select count(*) from sprint_raw.event_heartbeat"
    first = write(100)
    publish_views()
    for rows in (200, 300):
        write(rows)
        assert read(counted) == [(100,)]
    # a landing that is tried, and would bring the published records back, takes nothing away
    draft = PartitionDraft("sprint", "heartbeats", day)
    draft.write(beats[:100])
    draft.finish("test").discard()
    assert read(counted) == [(100,)]
    # published, the part goes at the next write: the manifest's and the view's are left
    publish_views()
    assert read(counted) == [(300,)]
    write(400)
    held = [pq.read_metadata(path).num_rows for path in first.folder.glob("*.parquet")]
    assert sorted(held) == [300, 400]
    assert read(counted) == [(300,)]


def test_before_anything_was_loaded_heartbeats_are_what_manifests_list(
    data_folder: Path, sprint: World
) -> None:
    day = sprint.title.launch_date
    manifest = write_partition("sprint", "heartbeats", day, sprint.heartbeats(day), source="test")
    publish_views()
    assert read("select count(*) from sprint_raw.event_heartbeat") == [(manifest.rows,)]


def test_a_title_s_marts_stay_when_another_one_s_are_published(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("create schema small_mart")
    warehouse.execute("create table small_mart.daily as select date '2025-01-01' as calendar_day")
    publish_built(warehouse, "small", ["small_mart.daily"])
    assert read("select count(*) from small_mart.daily") == [(1,)]
    assert read("select count(*) from sprint_mart.daily") == [(40,)]


@pytest.mark.parametrize("name", ["who?", "who\\am i", "C#"])
def test_a_folder_in_which_no_database_is_found_is_refused_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows a question mark is options; a backslash ends a folder's name in patterns;
    dbt names the database by what stands before a #."""
    monkeypatch.setenv("SPRINT_DATA_DIR", str(tmp_path / name))
    with pytest.raises(SprintError) as error, connect():
        pass
    assert name in str(error.value)
    assert "SPRINT_DATA_DIR" in str(error.value)
    assert "\n" not in str(error.value)
