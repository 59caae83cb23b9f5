"""Publishing: what readers (notebooks, BI tools, dashboards) open while runs write the database.

``data/published/<title>/<mart>/<period>.parquet`` holds a mart by its period, and
``data/published/sprint.duckdb`` is a small database of views over those files and over the
heartbeat partition files. A reader therefore never waits for the lease, and never holds it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from sprint_platform.places import data_dir, published_dir, raw_dir
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.telemetry.partitions import PartitionError, read_manifest

# What a mart's period column is called, and the period that it names. A mart without one of them
# (player_stats_lifetime) is one file.
PERIOD_COLUMNS = {
    "calendar_day": "day",
    "calendar_date": "day",
    "event_date": "day",
    "year_week": "week",
    "order_date": "day",
    "stock_date": "day",
    "year_month": "month",
    "sales_month": "month",
}
# Every mart has this file of no rows, so that its view knows the columns when no period has any.
_EMPTY = "columns.parquet"


@dataclass(frozen=True)
class Mart:
    """A mart to be published: how far a run of some days reaches in it, and whether its days are so
    few rows that a file holds a month of them (a reader opens every file)."""

    relation: str
    back_days: int = 0
    forward_days: int = 0
    by_month: bool = False


def publish(
    con: duckdb.DuckDBPyConnection,
    title: str,
    marts: Iterable[Mart],
    window: tuple[date, date] | None,
) -> int:
    """Publishes the periods of these marts that a run of the window [start, end) may have changed,
    or all of them where there is none; returns how many files were written. ``con`` is the
    warehouse, opened under the lease.

    Each file is replaced in one step; a period without rows loses its file.
    """
    written = 0
    for mart in marts:
        relation = mart.relation
        folder = _folder(title, relation)
        _write(con, f"select * from {relation} limit 0", folder / _EMPTY)
        columns = [row[0] for row in con.execute(f"describe {relation}").fetchall()]
        column = next((name for name in columns if name in PERIOD_COLUMNS), None)
        if column is None:
            _write(con, f"select * from {relation}", folder / "all.parquet")
            written += 1
            continue
        kind = "month" if mart.by_month else PERIOD_COLUMNS[column]
        first, end = date.min, date.max
        if window:
            reach = (
                window[0] - timedelta(days=mart.back_days),
                window[1] + timedelta(days=mart.forward_days),
            )
            first, end = _whole_periods(reach, kind)
        within = f"{column} >= date '{first}' and {column} < date '{end}'"
        found = con.execute(
            f"select distinct cast(date_trunc('{kind}', {column}) as date) from {relation}"
            f" where {within}"
        ).fetchall()
        periods = {row[0] for row in found}
        for period in sorted(periods):
            query = (
                f"select * from {relation} where {column} >= date '{period}'"
                f" and {column} < date '{period}' + interval 1 {kind}"
            )
            _write(con, query, folder / f"{period}.parquet")
            written += 1
        for path in folder.glob("????-??-??.parquet"):
            named = date.fromisoformat(path.stem)
            if first <= named < end and named not in periods:
                path.unlink(missing_ok=True)
    publish_views()
    return written


def publish_tables(
    con: duckdb.DuckDBPyConnection,
    name: str,
    whole: Iterable[str],
    in_parts: Iterable[str],
    part_column: str,
    parts: Collection[int],
) -> int:
    """Publishes a domain's relations: those in ``whole`` as one file each, those in ``in_parts`` as
    one for each of these parts (of all where none is named); returns how many files were written.
    ``name`` is the domain's, and its folder's. A part without rows loses its file."""
    written = 0
    for relation in whole:
        _write(con, f"select * from {relation}", _folder(name, relation) / "all.parquet")
        written += 1
    for relation in in_parts:
        folder = _folder(name, relation)
        _write(con, f"select * from {relation} limit 0", folder / _EMPTY)
        found = con.execute(f"select distinct {part_column} from {relation}").fetchall()
        present = {int(row[0]) for row in found}
        for part in sorted(present.intersection(parts) if parts else present):
            query = f"select * from {relation} where {part_column} = {part}"
            _write(con, query, folder / f"{part}.parquet")
            written += 1
        for path in folder.glob("*.parquet"):
            if path.stem.isdigit() and int(path.stem) not in present:
                path.unlink(missing_ok=True)
    publish_views()
    return written


def _folder(name: str, relation: str) -> Path:
    folder = published_dir() / name / relation.split(".")[1]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _whole_periods(window: tuple[date, date], period: str) -> tuple[date, date]:
    """The window widened to whole periods, half-open."""
    first, last = window[0], window[1] - timedelta(days=1)
    if period == "week":
        first -= timedelta(days=first.weekday())
        last += timedelta(days=6 - last.weekday())
    elif period == "month":
        first = first.replace(day=1)
        last = (last.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return first, last + timedelta(days=1)


def _write(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        con.execute(f"copy ({query}) to '{_quoted(temporary)}' (format parquet, compression zstd)")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def publish_views() -> None:
    """Writes ``published/sprint.duckdb`` anew: a view per published mart, and per title
    ``<title>_raw.event_heartbeat`` over its partition files.

    To be called when heartbeat partitions were replaced, too: a view names the files of its time,
    which stay until their day is written once more."""
    root = published_dir()
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / f".sprint.{os.getpid()}.tmp"
    temporary.unlink(missing_ok=True)
    try:
        with duckdb.connect(str(temporary)) as con:
            for folder in sorted(path for path in root.glob("*/*") if path.is_dir()):
                title, mart = folder.parent.name, folder.name
                con.execute(f"create schema if not exists {title}_mart")
                con.execute(
                    f"create view {title}_mart.{mart} as"
                    f" select * from read_parquet('{_quoted(folder)}/*.parquet')"
                )
            for folder in sorted((data_dir() / "raw").glob("*")):
                _heartbeat_view(con, folder.name)
        os.replace(temporary, root / "sprint.duckdb")
    finally:
        temporary.unlink(missing_ok=True)


def _heartbeat_view(con: duckdb.DuckDBPyConnection, title: str) -> None:
    """Only the files that manifests list: a folder may hold a replaced part until its next write,
    which is also what keeps an older view readable until then."""
    files = []
    for folder in sorted(raw_dir(title, "heartbeats").glob("event_date=????-??-??")):
        day = date.fromisoformat(folder.name.removeprefix("event_date="))
        try:
            manifest = read_manifest(title, "heartbeats", day)
        except PartitionError as error:
            # one damaged day must not stop every title's publication; whoever loads it is told too
            logging.getLogger(__name__).warning("left out of the published view: %s", error)
            continue
        files += [f"'{_quoted(path)}'" for path in manifest.paths] if manifest else []
    if files:
        contract = DATASETS["heartbeats"]
        con.execute(f"create schema if not exists {contract.schema_name(title)}")
        con.execute(
            f"create view {contract.relation(title)} as select * from read_parquet("
            f"[{', '.join(files)}], hive_partitioning = true, hive_types = {{'event_date': date}})"
        )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
