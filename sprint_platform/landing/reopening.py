"""Reopening: which days' partitions the newly landed and the replaced files touch.

To be called when the new files are in the register, and before the replaced ones leave it; it
updates the session-to-day index.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import duckdb

from sprint_platform.landing.intake import forget_file, own_days
from sprint_platform.landing.products import products_path
from sprint_platform.storage.partitions import PartitionError, checked_paths, read_manifest
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

Days = dict[str, set[date]]


@dataclass
class Reopened:
    """By dataset: the days whose partitions are made anew, and the days whose unassigned records
    are judged anew."""

    partitions: Days = field(default_factory=lambda: defaultdict(set))
    unassigned: Days = field(default_factory=lambda: defaultdict(set))


def reopen(
    con: duckdb.DuckDBPyConnection, title: Title, new: list[int], replaced: list[int], today: date
) -> Reopened:
    """What the files touch, and the days that were to come and have come; removes the replaced
    files from the register and updates the index."""
    reopened = Reopened()
    touched = [*new, *replaced]
    heartbeats = _spans_of_time(con, touched)
    own = {
        dataset: own_days(con, dataset, touched) for dataset in DATASETS if dataset != "heartbeats"
    }
    _move_index(con, new, replaced)
    for dataset, days in own.items():
        if DATASETS[dataset].entity and DATASETS[dataset].time_column:
            reopened.unassigned[dataset] |= days
        else:
            reopened.partitions[dataset] |= days
    for dataset, old, now in con.execute(
        "select distinct dataset, old_day, new_day from moved"
    ).fetchall():
        reopened.partitions[dataset] |= {day for day in (old, now) if day}
    _add_far_records(con, reopened)
    _add_days_that_came(con, title, reopened, today)
    if "heartbeats" in title.landing_settings.datasets:
        _add_heartbeats(con, title, reopened, heartbeats)
    return reopened


def astray(con: duckdb.DuckDBPyConnection, title: Title) -> Reopened:
    """The partitions that are not as the last landing that changed them left them: it was killed
    before it put them in place, or their files were lost or cut short since."""
    reopened = Reopened()
    for dataset, day, digest, written in con.execute(
        "select dataset, day, arg_max(digest, landing), bool_and(written) from changes"
        " group by dataset, day"
    ).fetchall():
        if dataset == "products":
            if not (written and products_path(title).exists()):
                reopened.partitions[dataset].add(day)
            continue
        try:
            manifest = read_manifest(title.name, dataset, day)
            if manifest is not None and manifest.digest == digest:
                if not manifest.pruned:
                    checked_paths(manifest, f"{title.name}/{dataset}", day)
                continue
        except PartitionError:
            pass  # it is damaged, and made again from what is staged
        reopened.partitions[dataset].add(day)
    return reopened


def _spans_of_time(con: duckdb.DuckDBPyConnection, files: list[int]) -> dict[date, int]:
    """The days of the files' heartbeats, each with the time of the first."""
    found = con.execute(
        "select day, min(first_at) from batches where dataset = 'heartbeats'"
        " and file_no in (select unnest(?)) group by day",
        [files],
    ).fetchall()
    return dict(found)


def _move_index(con: duckdb.DuckDBPyConnection, new: list[int], replaced: list[int]) -> None:
    """Brings ``starts`` up to date; leaves in ``moved`` each id that was touched, with its old and
    its new day, and whether a file that named it is replaced."""
    con.execute(
        "create or replace temp table touched as select dataset, id,"
        " bool_or(file_no in (select unnest(?))) as replaced, max(last_at) as last_at"
        " from mentions where file_no in (select unnest(?)) group by dataset, id",
        [replaced, [*new, *replaced]],
    )
    con.execute(
        "create or replace temp table moved as select touched.*, starts.day as old_day,"
        " cast(null as date) as new_day from touched left join starts using (dataset, id)"
    )
    for file_no in replaced:
        forget_file(con, file_no)
    con.execute(
        "delete from starts where exists (select 1 from touched"
        " where touched.dataset = starts.dataset and touched.id = starts.id)"
    )
    con.execute(
        "insert into starts select dataset, id, min(first_at), cast(min(first_at) as date)"
        " from mentions semi join touched using (dataset, id) group by dataset, id"
    )
    con.execute(
        "update moved set new_day = starts.day from starts"
        " where starts.dataset = moved.dataset and starts.id = moved.id"
    )


def _add_far_records(con: duckdb.DuckDBPyConnection, reopened: Reopened) -> None:
    """Adds the days of records that lie days after the start of their session (or key), now or
    before: no partition takes them, and their verdicts may have changed."""
    found = con.execute(
        "select distinct batches.dataset, batches.day from moved"
        " join mentions using (dataset, id)"
        " join batches on batches.file_no = mentions.file_no"
        "  and batches.dataset = mentions.dataset"
        "  and batches.day between cast(mentions.first_at as date)"
        "   and cast(mentions.last_at as date)"
        " where batches.day > least(coalesce(old_day, new_day), coalesce(new_day, old_day))"
    ).fetchall()
    for dataset, day in found:
        reopened.unassigned[dataset].add(day)


def _add_days_that_came(
    con: duckdb.DuckDBPyConnection, title: Title, reopened: Reopened, today: date
) -> None:
    """Adds the days whose records waited for their day, which has come."""
    for dataset, day in waiting_days(con, title):
        if day > today:
            continue
        reopened.partitions[dataset].add(day)
        if dataset == "sessions":
            reopened.unassigned["heartbeats"] |= {day, day + timedelta(days=1)}


def waiting_days(con: duckdb.DuckDBPyConnection, title: Title) -> list[tuple[str, date]]:
    """The datasets and days whose records wait for their day."""
    waiting = con.execute(
        "select distinct dataset, day from verdicts where waiting > 0 and not unassigned"
    ).fetchall()
    if "sessions" not in title.landing_settings.datasets:
        # sessions that are derived have no verdicts, and their heartbeats wait for nothing else
        waiting += con.execute(
            "select distinct 'sessions', day from pending where not far"
        ).fetchall()
    return waiting


def _add_heartbeats(
    con: duckdb.DuckDBPyConnection,
    title: Title,
    reopened: Reopened,
    landed: dict[date, int],
) -> None:
    """Adds the days on which heartbeats landed, their sessions changed, or they waited."""
    partitions, unassigned = reopened.partitions["heartbeats"], reopened.unassigned["heartbeats"]
    there = {
        row[0]
        for row in con.execute(
            "select distinct day from batches where dataset = 'heartbeats'"
        ).fetchall()
    }
    one = timedelta(days=1)
    slack = timedelta(seconds=title.landing_settings.session_tolerance_seconds)
    ends: dict[date, datetime] = dict(con.execute("select * from session_ends").fetchall())
    for day, first_at in landed.items():
        partitions.add(day)
        unassigned.add(day)
        end = ends.get(day - one)
        first = datetime.fromtimestamp(first_at / 1_000_000, UTC).replace(tzinfo=None)
        if end and first <= end + slack:
            partitions.add(day - one)
    for day in reopened.partitions["sessions"]:
        if day in there or day + one in there:
            partitions.add(day)
    lost = con.execute(
        # a session that changed may be shorter, too
        "select distinct old_day from moved where dataset = 'sessions' and old_day is not null"
    ).fetchall()
    for (day,) in lost:
        unassigned |= {day, day + one} & there
    waited = con.execute(
        "select distinct day from pending where session_id in"
        " (select id from moved where dataset = 'sessions')"
    ).fetchall()
    unassigned |= {row[0] for row in waited}
