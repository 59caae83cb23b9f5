"""What is landed is a function of the files, never of the order in which they came.

A few sessions and heartbeats around midnights, in files that come, change and repeat themselves at
random, against a slow program that looks at everything at once.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sprint_platform.landing.land import LandReport, land
from sprint_platform.landing.register import open_register, registered
from sprint_platform.places import data_dir
from sprint_platform.storage.partitions import partition_days, read_partition
from sprint_platform.title import Title

TITLE = Title.model_validate(
    {
        "name": "attic",
        "launch_date": "2025-01-01",
        "seed": 0,
        "source": "landing",
        "encounters": {"distance": 50, "gap_seconds": 180},
        "landing": {"reject_limit": 1},
    }
)
MIDNIGHT = datetime(2025, 3, 2)
DAY = timedelta(days=1)


class Part(NamedTuple):
    """A sessions record."""

    session: int
    player: int
    started_at: datetime
    ended_at: datetime
    kills: int


class Beat(NamedTuple):
    """A heartbeat."""

    session: int
    player: int
    at: datetime
    x: int


@dataclass(frozen=True)
class File:
    name: str
    rows: tuple[Part, ...] | tuple[Beat, ...]

    @property
    def dataset(self) -> str:
        return self.name.split("/")[0]


def uuid(kind: int, number: int) -> UUID:
    return UUID(int=(kind << 64) + number + 1)


def deliver(file: File) -> None:
    """Writes the file into the landing folder."""
    path = data_dir() / "landing" / TITLE.name / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.dataset == "sessions":
        parts = [row for row in file.rows if isinstance(row, Part)]
        columns: dict[str, pa.Array] = {
            "session_id": pa.array([uuid(1, p.session).bytes for p in parts], pa.binary(16)),
            "player_id": pa.array([uuid(2, p.player).bytes for p in parts], pa.binary(16)),
            "team_id": pa.array([1 + p.player % 2 for p in parts], pa.int16()),
            "started_at": pa.array([p.started_at for p in parts], pa.timestamp("us")),
            "event_datetime": pa.array([p.ended_at for p in parts], pa.timestamp("us")),
            "kills": pa.array([p.kills for p in parts], pa.int32()),
            "deaths": pa.array([0 for _ in parts], pa.int32()),
        }
    else:
        beats = [row for row in file.rows if isinstance(row, Beat)]
        columns = {
            "session_id": pa.array([uuid(1, b.session).bytes for b in beats], pa.binary(16)),
            "player_id": pa.array([uuid(2, b.player).bytes for b in beats], pa.binary(16)),
            "event_datetime": pa.array([b.at for b in beats], pa.timestamp("us")),
            **{f"position_{a}": pa.array([b.x for b in beats], pa.int32()) for a in "xyz"},
        }
    pq.write_table(pa.table(columns), path)


class Expected(NamedTuple):
    """Partitions as rows by dataset and day, and (accepted, rejected, duplicates, waiting) by
    dataset and file."""

    partitions: dict[tuple[str, date], Counter[tuple[Any, ...]]]
    counts: dict[tuple[str, str], Counter[str]]


def looked_at_once(files: Iterable[File], derived: bool) -> Expected:
    """What every landing of these files must give, however they came."""
    partitions: dict[tuple[str, date], Counter[tuple[Any, ...]]] = defaultdict(Counter)
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    ordered = sorted(files, key=lambda file: file.name)
    parts = [
        (row, file.name)
        for file in ordered if file.dataset == "sessions"
        for row in file.rows if isinstance(row, Part)
    ]  # fmt: skip
    beats = [
        (row, file.name)
        for file in ordered if file.dataset == "heartbeats"
        for row in file.rows if isinstance(row, Beat)
    ]  # fmt: skip
    starts: dict[int, datetime] = {}
    ends: dict[int, datetime] = {}
    known: set[tuple[int, int]] = set()
    if derived:
        for beat, _ in beats:
            starts[beat.session] = min(starts.get(beat.session, beat.at), beat.at)
        spans: dict[tuple[int, int], list[datetime]] = defaultdict(list)
        for beat, _ in beats:
            if beat.at <= starts[beat.session] + DAY:
                spans[beat.session, beat.player].append(beat.at)
        for (session, player), times in spans.items():
            end = min(max(times) + timedelta(seconds=30), starts[session] + DAY)
            ends[session] = max(ends.get(session, end), end)
            known.add((session, player))
            partitions["sessions", starts[session].date()][session, player, min(times), end, 0] += 1
    else:
        for part, _ in parts:
            starts[part.session] = min(starts.get(part.session, part.started_at), part.started_at)
        before: dict[tuple[int, int], list[Part]] = defaultdict(list)
        admitted: dict[tuple[int, int], list[Part]] = defaultdict(list)
        joined: dict[tuple[int, int], Part] = {}
        for part, name in sorted(parts, key=lambda item: item[0].started_at):  # then by file
            key = part.session, part.player
            if part.started_at.date() - starts[part.session].date() > DAY:
                # days away from its session: a copy of it is as well
                counts["sessions", name]["rejected"] += 1
                continue
            copy = part in before[key]
            # what is rejected keeps no later part out
            overlaps = any(part.started_at < other.ended_at for other in admitted[key])
            before[key].append(part)
            if copy:
                counts["sessions", name]["duplicate"] += 1
                continue
            if part.started_at > starts[part.session] + DAY or overlaps:
                counts["sessions", name]["rejected"] += 1
                continue
            counts["sessions", name]["accepted"] += 1
            admitted[key].append(part)
            known.add(key)
            ends[part.session] = max(ends.get(part.session, part.ended_at), part.ended_at)
            # a player who comes back has one record, from the first part to the last
            one = joined.get(key, part._replace(kills=0, ended_at=part.started_at))
            joined[key] = one._replace(ended_at=part.ended_at, kills=one.kills + part.kills)
        for part in joined.values():
            partitions["sessions", starts[part.session].date()][part] += 1
    first: dict[tuple[int, int, datetime], Beat] = {}
    for beat, name in beats:
        key = beat.session, beat.player, beat.at
        if key in first:
            same = first[key] == beat
            counts["heartbeats", name]["duplicate" if same else "rejected"] += 1
            continue
        first[key] = beat
        start = starts.get(beat.session)
        if start is None:
            verdict = "waiting"
        elif not timedelta(0) <= (beat.at.date() - start.date()) <= DAY:
            verdict = "rejected"
        elif (beat.session, beat.player) not in known:
            verdict = "waiting"
        else:
            inside = start <= beat.at <= ends[beat.session]
            verdict = "accepted" if inside else "rejected"
        counts["heartbeats", name][verdict] += 1
        if verdict == "accepted" and start is not None:
            partitions["heartbeats", start.date()][beat] += 1
    return Expected(partitions, counts)


def found() -> dict[tuple[str, date], Counter[tuple[Any, ...]]]:
    """The partitions that lie there, empty ones left out."""
    partitions: dict[tuple[str, date], Counter[tuple[Any, ...]]] = {}
    for dataset in ("sessions", "heartbeats"):
        for day in partition_days(TITLE.name, dataset):
            rows: Counter[tuple[Any, ...]] = Counter()
            for table in read_partition(TITLE.name, dataset, day):
                for row in table.to_pylist():
                    session, player = row["session_id"].int, row["player_id"].int
                    ids = (session & (2**64 - 1)) - 1, (player & (2**64 - 1)) - 1
                    if dataset == "sessions":
                        rows[(*ids, row["started_at"], row["event_datetime"], row["kills"])] += 1
                    else:
                        rows[(*ids, row["event_datetime"], int(row["position_x"]))] += 1
            if rows:
                partitions[dataset, day] = rows
    return partitions


def counted(reports: list[LandReport]) -> dict[tuple[str, str], Counter[str]]:
    """The newest counts of each file; a report lists those that it read or that changed."""
    counts = {}
    for report in reports:
        for file in report.files:
            counts[file.dataset, file.file] = Counter(
                accepted=file.accepted, rejected=file.rejected,
                duplicate=file.duplicates, waiting=file.waiting,
            )  # fmt: skip
            assert file.rows_read == counts[file.dataset, file.file].total()
    return counts


minutes = st.integers(-1600, 1600).filter(lambda m: m % 7 < 3)
moments = minutes.map(lambda m: MIDNIGHT + timedelta(minutes=m * 1.5))
part_rows = st.builds(
    lambda session, player, at, length, kills: Part(
        session, player, at, at + timedelta(minutes=length), kills
    ),
    st.integers(0, 3), st.integers(0, 2), moments, st.integers(0, 300), st.integers(0, 1),
)  # fmt: skip
beat_rows = st.builds(Beat, st.integers(0, 3), st.integers(0, 2), moments, st.integers(0, 1))
names = st.sampled_from(["a", "b", "c"])
files = st.one_of(
    st.builds(
        lambda name, rows: File(f"sessions/{name}.parquet", tuple(rows)),
        names, st.lists(part_rows, max_size=5),
    ),
    st.builds(
        lambda name, rows: File(f"heartbeats/{name}.parquet", tuple(rows)),
        names, st.lists(beat_rows, max_size=8),
    ),
)  # fmt: skip
# repeated rows, in the same file and in others
deliveries = st.lists(st.lists(files, min_size=1, max_size=3), min_size=1, max_size=4)


def beats_of_one(*moments: tuple[int, int, int], name: str = "a") -> File:
    """Heartbeats of one player in one session at these (day, hour, minute) of March."""
    beats = tuple(Beat(0, 0, datetime(2025, 3, day, hour, m), 0) for day, hour, m in moments)
    return File(f"heartbeats/{name}.parquet", beats)


def parts_of_one(*moments: tuple[int, int], name: str = "a") -> File:
    """Sessions records of one session at these (day, player) of March."""
    parts = (
        Part(0, player, datetime(2025, 3, day), datetime(2025, 3, day), 0)
        for day, player in moments
    )
    return File(f"sessions/{name}.parquet", tuple(parts))


@pytest.mark.parametrize("derived", [False, True])
# a record and its copy, both two days after their session's start
@example(runs=[[parts_of_one((1, 0), (3, 1)), parts_of_one((3, 1), name="b")]])
# a heartbeat more than a day after the session's start is none of it, and does not lengthen it:
# by itself, in one file with the last that counts, and in another
@example(runs=[[beats_of_one((1, 3, 3), (2, 3, 9))]])
@example(runs=[[beats_of_one((1, 3, 3), (2, 2, 50), (2, 3, 9))]])
@example(runs=[[beats_of_one((1, 3, 3), (2, 3, 9))], [beats_of_one((2, 2, 50), name="b")]])
@example(runs=[[beats_of_one((1, 3, 3), (2, 3, 3), (2, 3, 9))]])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=deliveries)
def test_any_order_of_files_gives_what_one_look_at_all_gives(
    data_folder: Path, derived: bool, runs: list[list[File]]
) -> None:
    shutil.rmtree(data_folder, ignore_errors=True)
    title = TITLE
    if derived:
        only = TITLE.landing_settings.model_copy(update={"datasets": ("heartbeats",)})
        title = TITLE.model_copy(update={"landing": only})
    newest: dict[str, File] = {}
    reports = []
    for run in runs:
        for file in run:
            if not (derived and file.dataset == "sessions"):
                deliver(file)
                newest[file.name] = file
        before = found()
        report = land(title)
        reports.append(report)
        # exactly the partitions whose records changed are named
        after = found()
        changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        assert {
            (c.dataset, c.day) for c in report.changes if c.rows_after or c.rows_before
        } == changed
    expected = looked_at_once(newest.values(), derived)
    assert found() == {key: rows for key, rows in expected.partitions.items() if rows}
    reported = counted(reports)
    for key, counts in expected.counts.items():
        assert reported[key] == counts
    assert land(title).number == 0, "a second look finds nothing new"


def test_a_landing_holds_no_table_that_it_has_read(data_folder: Path) -> None:
    """Or all sessions that it admits would be in memory until its commit."""
    with open_register("attic") as con:
        con.begin()
        before = pa.total_allocated_bytes()
        for last in (9, 99_999):
            numbers = pa.table({"n": pa.array(range(last + 1))})
            with registered(con, "numbers", numbers):
                assert con.execute("select max(n) from numbers").fetchone() == (last,)
            del numbers
        assert pa.total_allocated_bytes() - before < 400_000
        con.rollback()
