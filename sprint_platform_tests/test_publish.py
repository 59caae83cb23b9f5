"""What readers open: only the touched periods are written anew, and it never needs the lease."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from sprint_platform.places import published_dir
from sprint_platform.simulation.world import World
from sprint_platform.telemetry.partitions import write_partition
from sprint_platform.warehouse.database import connect
from sprint_platform.warehouse.publish import Mart, publish, publish_views

DAILY = Mart("sprint_mart.daily")
MARTS = [DAILY, *(Mart(f"sprint_mart.{name}") for name in ("weekly", "monthly", "lifetime"))]
YEAR = (date(2025, 1, 1), date(2026, 1, 1))


@pytest.fixture
def warehouse(data_folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with a mart of each period, published once for its 40 days."""
    with connect() as con:
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
                f" select date_trunc('{part}', calendar_date)::date as {column}, sum(n) as n"
                " from sprint_mart.daily group by all"
            )
        con.execute(
            "create table sprint_mart.lifetime as select sum(n) as n from sprint_mart.daily"
        )
        publish(con, "sprint", MARTS, YEAR)
        yield con


def files() -> dict[str, int]:
    root = published_dir() / "sprint"
    return {str(path.relative_to(root)): path.stat().st_ino for path in root.rglob("*.parquet")}


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


def test_only_the_touched_periods_are_written(warehouse: duckdb.DuckDBPyConnection) -> None:
    before = files()
    warehouse.execute("update sprint_mart.daily set n = 2 where calendar_date = '2025-02-05'")
    publish(warehouse, "sprint", MARTS, (date(2025, 2, 5), date(2025, 2, 6)))
    after = files()
    rewritten = {name for name in after if before.get(name) != after[name]}
    assert {name for name in rewritten if not name.endswith("columns.parquet")} == {
        "daily/2025-02-05.parquet",
        "weekly/2025-02-03.parquet",
        "monthly/2025-02-01.parquet",
        "lifetime/all.parquet",
    }
    assert read("select sum(n) from sprint_mart.daily") == [(41,)]


def test_few_rows_a_day_are_a_file_a_month_and_a_run_may_reach_further(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    mart = Mart("sprint_mart.daily", back_days=1, forward_days=27, by_month=True)
    publish(warehouse, "small", [mart], YEAR)
    folder = published_dir() / "small" / "daily"
    months = {path.stem: path.stat().st_ino for path in folder.glob("2025-*.parquet")}
    assert months.keys() == {"2025-01-01", "2025-02-01"}
    publish(warehouse, "small", [mart], (date(2025, 2, 2), date(2025, 2, 3)))
    assert {
        p.stem: p.stat().st_ino for p in folder.glob("2025-01*.parquet")
    }.items() < months.items()
    # a day back is in January, and 27 days ahead of it is February
    publish(warehouse, "small", [mart], (date(2025, 2, 1), date(2025, 2, 2)))
    written = {p.stem: p.stat().st_ino for p in folder.glob("2025-*.parquet")}
    assert not written.items() & months.items()
    assert read("select count(*), max(calendar_date) from small_mart.daily") == [
        (40, date(2025, 2, 28))
    ]
    # a month that became empty loses its file
    warehouse.execute("delete from sprint_mart.daily where calendar_date < '2025-02-01'")
    publish(warehouse, "small", [mart], (date(2025, 1, 31), date(2025, 2, 1)))
    assert {path.stem for path in folder.glob("2025-*.parquet")} == {"2025-02-01"}


def test_a_period_that_became_empty_loses_its_file(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("delete from sprint_mart.daily")
    publish(warehouse, "sprint", [DAILY], (date(2025, 2, 5), date(2025, 2, 6)))
    assert "daily/2025-02-05.parquet" not in files()
    assert "daily/2025-02-06.parquet" in files()
    publish(warehouse, "sprint", [DAILY], YEAR)
    # a mart without any row is an empty table, with its columns
    assert read("select calendar_date, n from sprint_mart.daily") == []


def test_a_failed_publication_leaves_the_old_file(warehouse: duckdb.DuckDBPyConnection) -> None:
    before = files()
    warehouse.execute("create view sprint_mart.broken as select error('no') as n")
    with pytest.raises(duckdb.Error, match="no"):
        publish(
            warehouse, "sprint", [Mart("sprint_mart.lifetime"), Mart("sprint_mart.broken")], YEAR
        )
    left = [path for path in published_dir().rglob("*") if path.name.endswith(".tmp")]
    assert left == []
    assert {name: inode for name, inode in files().items() if name.startswith("daily")} == {
        name: inode for name, inode in before.items() if name.startswith("daily")
    }


def test_heartbeats_are_read_from_what_manifests_list(data_folder: Path, sprint: World) -> None:
    day = sprint.title.launch_date
    for offset in range(2):
        on = day + timedelta(days=offset)
        manifest = write_partition("sprint", "heartbeats", on, sprint.heartbeats(on), source="test")
    publish_views()
    # a leftover of a crash is no part of the day
    (manifest.folder / "part-99999-left.parquet").write_bytes(manifest.paths[0].read_bytes())
    counted = (
        "select event_date, count(*) from sprint_raw.event_heartbeat group by all order by all"
    )
    before = read(counted)
    assert [row[0] for row in before] == [day, day + timedelta(days=1)]
    assert before[1][1] == manifest.rows
    # a reader of the old view is not cut off when a day is made anew
    write_partition("sprint", "heartbeats", on, sprint.heartbeats(day), source="test")
    assert read(counted) == before
    publish_views()
    assert read(counted)[1][1] != manifest.rows
