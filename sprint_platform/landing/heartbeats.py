"""Admission of heartbeats: each finds its player's part in a session, waits for it, or is rejected.

A day is read in slices of time of half a million rows, so that memory is bounded however many
heartbeats a day has: copies of one heartbeat have one time, and so are in one slice. Ids are
compared as numbers: a part by a 64-bit mix of its two ids, a heartbeat by one of its key. At a
million parts and 40 million heartbeats a day, two that differ share a mix once in some thousand
years.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.core.ahead import Ahead
from sprint_platform.draws import STEP
from sprint_platform.landing.records import record_sql
from sprint_platform.landing.register import Entries, registered
from sprint_platform.landing.staging import (
    EPOCH,
    MICROSECONDS_A_DAY,
    Integers,
    StagedFiles,
    day_number,
)
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

# Rows that are judged together: some 60 bytes each, and as much again while they are judged.
ROWS_PER_SLICE = 500_000
SLOTS_PER_DAY = 288

Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class StagedBatch:
    """A batch of heartbeats of one day: its file and number, rows, and span of time."""

    file_no: int
    path: Path
    number: int
    rows: int
    first_at: int
    last_at: int


@dataclass(frozen=True)
class Slice:
    """Staged heartbeats of one slice of time; row n came from ``file_nos[of_file[n]]``."""

    rows: pa.Table
    file_nos: list[int]
    of_file: npt.NDArray[np.int32]


def words(column: pa.Array | pa.ChunkedArray) -> Words:
    """The ids of a uuid column as two 64-bit words each, shape (rows, 2)."""
    if isinstance(column, pa.ChunkedArray):
        # combine_chunks copies even where there is one chunk
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    storage = column.storage if isinstance(column, pa.ExtensionArray) else column
    flat = np.frombuffer(storage.buffers()[1], "<u8") if len(storage) else np.empty(0, "<u8")
    return flat[2 * storage.offset : 2 * (storage.offset + len(storage))].reshape(-1, 2)


def mixed(*columns: Words) -> Words:
    """One 64-bit mix per row of these words, in their order."""
    mix = np.zeros(len(columns[0]), np.uint64)
    spare = np.empty(min(len(mix), STEP), np.uint64)
    for start in range(0, len(mix), STEP):  # in steps that stay in the cache: three times as fast
        state = mix[start : start + STEP]
        shifted = spare[: len(state)]
        for column in columns:
            np.bitwise_xor(state, column[start : start + STEP], out=state)
            np.multiply(state, np.uint64(0xD6E8FEB86659FD93), out=state)
            np.right_shift(state, np.uint64(32), out=shifted)
            np.bitwise_xor(state, shifted, out=state)
        np.multiply(state, np.uint64(0x9E3779B97F4A7C15), out=state)
        np.right_shift(state, np.uint64(29), out=shifted)
        np.bitwise_xor(state, shifted, out=state)
    return mix


def in_share(ids: pa.Array, share: int, shares: int) -> Mask:
    """Mask of the rows whose id belongs to one of so many shares."""
    both = words(ids)
    return mixed(both[:, 0], both[:, 1]) % np.uint64(shares) == share


def part_keys(table: pa.Table) -> Words:
    """The mix of each row's session and player."""
    sessions, players = words(table["session_id"]), words(table["player_id"])
    return mixed(sessions[:, 0], sessions[:, 1], players[:, 0], players[:, 1])


_NOBODY = pa.table(
    {
        "session_id": pa.nulls(1, pa.uuid()), "player_id": pa.nulls(1, pa.uuid()),
        "team_id": pa.array([0], pa.int16()), "started_at": pa.array([0], pa.timestamp("us")),
        "event_datetime": pa.array([0], pa.timestamp("us")),
    }
)  # fmt: skip


class Parts:
    """The players' parts in the sessions of some days, to look heartbeats up in: sessions by day,
    and the numbers of the team labels (session_id, team_label, team_id) where teams have labels."""

    def __init__(
        self, days: dict[date, pa.Table], labels: pa.Table | None, tolerance_seconds: int
    ) -> None:
        tables = list(days.values())
        records = pa.concat_tables([*tables, DATASETS["sessions"].arrow_schema.empty_table()])
        self.keys = part_keys(records).view(np.int64)
        if not records.num_rows:  # a row that no key finds, so that no array is empty
            records = _NOBODY
            days, tables = {EPOCH: records}, [records]
        self.day = np.repeat(
            np.array([day_number(day) for day in days], np.int32),
            [table.num_rows for table in tables],
        )
        self.team = np.asarray(records["team_id"])
        began = np.asarray(records["started_at"].cast(pa.int64()))
        ended = np.asarray(records["event_datetime"].cast(pa.int64()))
        # a heartbeat lies within its session, not only within its player's part of it
        ids = words(records["session_id"])
        session = np.asarray(pa.array(mixed(ids[:, 0], ids[:, 1])).dictionary_encode().indices)
        count = int(session.max()) + 1 if len(session) else 0
        first = np.full(count, np.iinfo(np.int64).max)
        last = np.full(count, np.iinfo(np.int64).min)
        np.minimum.at(first, session, began)
        np.maximum.at(last, session, ended)
        slack = tolerance_seconds * 1_000_000
        self.first = first[session] - slack
        self.last = last[session] + slack
        self.ends = {  # the latest end of each day's sessions
            day: int(self.last[self.day == day_number(day)].max(initial=0)) for day in days
        }
        self.label_keys = self.label_numbers = None
        if labels is not None and labels.num_rows:
            self.label_keys = pa.array(label_keys(labels).view(np.int64))
            self.label_numbers = np.asarray(labels["team_id"])

    def find(self, keys: Words, times: Integers) -> tuple[Mask, Integers]:
        """Of heartbeats with these keys and times: which have a part, and the part's number (0
        where there is none)."""
        known, at = np.zeros(len(keys), bool), np.zeros(len(keys), np.int64)
        if not len(self.keys):
            return known, at
        # most lie within their session: few of the day's parts are looked in
        near = np.flatnonzero((self.first <= times.max()) & (self.last >= times.min()))
        for parts in (near, np.arange(len(self.keys))):
            rest = np.flatnonzero(~known)
            if not len(rest):
                break
            found = pc.index_in(
                pa.array(keys[rest].view(np.int64)), value_set=pa.array(self.keys[parts])
            )
            hit = np.asarray(found.is_valid())
            known[rest[hit]] = True
            at[rest[hit]] = parts[np.asarray(found.drop_null())]
        return known, at


def label_keys(table: pa.Table) -> Words:
    """The mix of each row's session and team label (as dictionary-encoded text)."""
    sessions = words(table["session_id"])
    encoded = table["team_label"].combine_chunks().dictionary_encode()
    hashes = np.array([_text_hash(label) for label in encoded.dictionary.to_pylist()], np.uint64)
    codes = np.asarray(encoded.indices.fill_null(0))
    label = hashes[codes] if len(hashes) else np.zeros(len(codes), np.uint64)
    return mixed(sessions[:, 0], sessions[:, 1], label)


def _text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


class HeartbeatJudge:
    """Judges the heartbeats staged of one day. Verdicts are added to ``entries``; ``emit`` is
    called with the day of a partition and records that were admitted to it."""

    def __init__(
        self,
        entries: Entries,
        title: Title,
        emit: Callable[[date, pa.Table], None],
    ) -> None:
        self.entries, self.title, self.emit = entries, title, emit
        self.schema = DATASETS["heartbeats"].arrow_schema
        self.labels = title.landing_settings.mapping.teams == "labels"

    def judge(
        self,
        own_day: date,
        batches: Sequence[StagedBatch],
        parts: Parts,
        partitions: frozenset[date],
        unassigned: bool,
    ) -> None:
        """Admits the heartbeats staged of ``own_day`` to that day and the day before, where these
        are among ``partitions``; with ``unassigned`` also judges those that belong to neither.

        Verdicts are added to those of the partition that are there already (of its own day); the
        caller removes old ones first."""
        self._parts, self._wanted = parts, partitions
        if not unassigned and own_day not in partitions:
            # only heartbeats up to the end of yesterday's sessions are needed
            end = parts.ends.get(own_day - timedelta(days=1), 0)
            batches = [batch for batch in batches if batch.first_at <= end]
        self._unassigned, self._own_day = unassigned, own_day
        if unassigned:
            self.entries.forget("heartbeats", own_day, unassigned=True)
        for piece in Ahead(_slices(own_day, batches)):
            self._judge_slice(piece)

    def _judge_slice(self, piece: Slice) -> None:
        rows, parts, own = piece.rows, self._parts, day_number(self._own_day)
        keys = part_keys(rows)
        times = np.asarray(rows["event_datetime"].cast(pa.int64()))
        known, at = parts.find(keys, times)
        ended = times > parts.last[at]
        # No partition takes a heartbeat after the end of yesterday's session: yesterday's partition
        # is made without reading all of today.
        belongs = known & ((parts.day[at] == own) | ~ended)
        day = np.where(belongs, parts.day[at], -1)
        duplicate, conflict = self._repeated(rows, keys, times)
        single = ~(duplicate | conflict)
        inside = belongs & single & ~ended & (times >= parts.first[at])
        team = self._teams(rows, at)
        unknown_team = inside & (team == 0)
        accepted = inside & ~unknown_team
        for partition in (self._own_day, self._own_day - timedelta(days=1)):
            if partition not in self._wanted:
                continue
            mine = day == day_number(partition)
            self._add_verdicts(
                partition, False, piece,
                {
                    "accepted": mine & accepted,
                    "duplicate": mine & duplicate,
                    "duplicate_key": mine & conflict,
                    "outside_session": mine & single & ~inside,
                    "unknown_team": mine & unknown_team,
                },
            )  # fmt: skip
            chosen = mine & accepted
            if chosen.any():
                self.emit(partition, self._records(rows, team, chosen))
        if self._unassigned and not belongs.all():
            stray = ~belongs & single
            far = (stray & known) | self._far(rows, stray & ~known, own)
            self._add_verdicts(
                self._own_day, True, piece,
                {
                    "duplicate": ~belongs & duplicate,
                    "duplicate_key": ~belongs & conflict,
                    "outside_session": far,
                    "waiting": stray & ~far,
                },
            )  # fmt: skip
            self._remember(piece, stray, far)

    def _repeated(self, rows: pa.Table, keys: Words, times: Integers) -> tuple[Mask, Mask]:
        """Masks of the rows that repeat an earlier one, and of those that contradict one."""
        duplicate = np.zeros(len(keys), bool)
        conflict = np.zeros(len(keys), bool)
        full = mixed(keys, times.view(np.uint64))
        # twice as fast as numpy's sort, and mostly nothing is repeated
        mixes = pl.Series(full)
        if mixes.n_unique() == len(full):
            return duplicate, conflict
        suspects = np.flatnonzero(mixes.is_duplicated().to_numpy())
        # rows are in the order of files and, within them, of the file: the first of a key stays
        order = suspects[np.argsort(full[suspects], kind="stable")]
        first = np.empty(len(order), bool)
        first[0] = True
        first[1:] = full[order[1:]] != full[order[:-1]]
        first_of_key = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
        later = ~first
        mine, theirs = rows.take(pa.array(order[later])), rows.take(pa.array(first_of_key[later]))
        same = np.ones(int(later.sum()), bool)
        for name in rows.column_names:
            if name != "row":
                same &= _equal(mine[name], theirs[name])
        duplicate[order[later][same]] = True
        conflict[order[later][~same]] = True
        return duplicate, conflict

    def _teams(self, rows: pa.Table, at: Integers) -> npt.NDArray[np.int16]:
        """The rows' team numbers: its part's for a heartbeat without a team, 0 for a label that the
        session does not have."""
        of_part = self._parts.team[at].astype(np.int16)
        if not self.labels:
            column = rows["team_id"].combine_chunks()
            if not column.null_count:
                return np.asarray(column)
            missing = np.asarray(column.is_null())
            return np.where(missing, of_part, np.asarray(column.fill_null(0)))
        column = rows["team_label"].combine_chunks()
        missing = np.asarray(column.is_null())
        if self._parts.label_keys is None or self._parts.label_numbers is None:
            return np.where(missing, of_part, 0).astype(np.int16)
        index = pc.index_in(
            pa.array(label_keys(rows).view(np.int64)), value_set=self._parts.label_keys
        )
        numbers = self._parts.label_numbers[np.asarray(index.fill_null(0))]
        numbers = np.where(np.asarray(index.is_valid()), numbers, 0)
        return np.where(missing, of_part, numbers).astype(np.int16)

    def _records(self, rows: pa.Table, team: npt.NDArray[np.int16], chosen: Mask) -> pa.Table:
        columns = {name: rows[name] for name in rows.column_names}
        columns["team_id"] = pa.chunked_array([pa.array(team)])
        table = pa.Table.from_arrays(
            [columns[name] for name in self.schema.names], schema=self.schema
        )
        return table if chosen.all() else table.filter(pa.array(chosen))

    def _far(self, rows: pa.Table, single: Mask, own: int) -> Mask:
        """Mask of the rows that no part takes and that belong to a session of another day."""
        far = np.zeros(len(single), bool)
        positions = np.flatnonzero(single)
        if not len(positions):
            return far
        ids = rows["session_id"].take(pa.array(positions)).combine_chunks()
        encoded = ids.storage.dictionary_encode()
        distinct = pa.ExtensionArray.from_storage(pa.uuid(), encoded.dictionary)
        session_ids = pa.table(
            {"id": distinct, "number": pa.array(range(len(distinct)), pa.int32())}
        )
        con = self.entries.con
        with registered(con, "session_ids", session_ids):
            away = con.execute(
                "select number from session_ids join starts on starts.id = session_ids.id"
                " and starts.dataset = 'sessions' where starts.day not in (?, ?)",
                [EPOCH + timedelta(days=own), EPOCH + timedelta(days=own - 1)],
            ).fetchnumpy()["number"]
        is_away = np.zeros(len(distinct), bool)
        is_away[np.asarray(away, np.int64)] = True
        far[positions] = is_away[np.asarray(encoded.indices)]
        return far

    def _add_verdicts(
        self,
        day: date,
        unassigned: bool,
        piece: Slice,
        verdicts: dict[str, Mask],
    ) -> None:
        """Adds the slice's verdicts to the register."""
        files, rows = np.array(piece.file_nos, np.int64), piece.rows
        counts = {
            verdict: np.bincount(
                piece.of_file if mask.all() else piece.of_file[mask], minlength=len(files)
            )
            for verdict, mask in verdicts.items()
            if mask.any()
        }
        if not counts:
            return
        zero = np.zeros(len(files), np.int64)
        rejected = sum(
            (
                counts.get(reason, zero)
                for reason in ("duplicate_key", "outside_session", "unknown_team")
            ),
            zero,
        )
        accepted, waiting = counts.get("accepted", zero), counts.get("waiting", zero)
        duplicates = counts.get("duplicate", zero)
        of = {"dataset": "heartbeats", "day": day, "unassigned": unassigned}
        some = (accepted + rejected + duplicates + waiting) > 0
        self.entries.add(
            "verdicts",
            _with(
                of,
                file_no=files[some],
                accepted=accepted[some],
                rejected=rejected[some],
                duplicates=duplicates[some],
                waiting=waiting[some],
            ),
        )
        for reason in ("duplicate_key", "outside_session", "unknown_team"):
            mask = verdicts.get(reason)
            if mask is not None and mask.any():
                chosen = rows.filter(pa.array(mask))
                self.entries.add(
                    "rejected",
                    _with(
                        of | {"reason": reason},
                        file_no=files[piece.of_file[mask]],
                        row=chosen["row"],
                        record=self._as_text(chosen.drop_columns("row")),
                    ),
                )
        mask = verdicts["duplicate"]
        if mask.any():
            numbers = np.asarray(rows["row"])[mask]
            self.entries.add(
                "duplicates", _with(of, **_ranges(files[piece.of_file[mask]], numbers))
            )

    def _as_text(self, rows: pa.Table) -> pa.ChunkedArray:
        """Each row as JSON."""
        record, named = record_sql("records", rows.column_names)
        con = self.entries.con
        places = pa.array(np.arange(rows.num_rows))
        with registered(con, "records", rows.append_column("place", places)):
            texts = con.execute(f"select {record} from {named} order by records.place")
            return texts.to_arrow_table().column(0)

    def _remember(self, piece: Slice, single: Mask, far: Mask) -> None:
        """Adds to the pending heartbeats, by file and part."""
        if not single.any():
            return
        chosen = piece.rows.select(["session_id", "player_id", "event_datetime"])
        chosen = chosen.filter(pa.array(single))
        file_nos = np.array(piece.file_nos, np.int64)[piece.of_file[single]]
        chosen = chosen.append_column("file_no", pa.array(file_nos))
        chosen = chosen.append_column("far", pa.array(far[single]))
        con = self.entries.con
        with registered(con, "waiting_rows", chosen):
            self.entries.add_selected(
                "pending",
                f"select file_no, date '{self._own_day}' as day, session_id, player_id,"
                " count(*) as heartbeats, min(event_datetime) as first_at,"
                " max(event_datetime) as last_at, far from waiting_rows"
                " group by file_no, session_id, player_id, far",
            )


def _with(of: dict[str, object], **columns: object) -> pa.Table:
    """A table of the columns, and of more columns with one value each."""
    table = pa.table(columns)
    for name, value in of.items():
        table = table.append_column(name, pa.repeat(pa.scalar(value), table.num_rows))
    return table


def _equal(mine: pa.ChunkedArray, theirs: pa.ChunkedArray) -> Mask:
    """Mask of the rows where two columns are equal; two missing values are equal."""
    if isinstance(mine.type, pa.BaseExtensionType):
        left, right = words(mine), words(theirs)
        return np.asarray((left == right).all(axis=1))
    equal = pc.fill_null(pc.equal(mine, theirs), False)
    both = pc.and_(pc.is_null(mine), pc.is_null(theirs))
    return np.asarray(pc.or_(equal, both))


def _ranges(file_nos: Integers, numbers: Integers) -> dict[str, Integers]:
    """The rows as ranges of one file's consecutive rows: file_no, first_row, last_row."""
    order = np.lexsort((numbers, file_nos))
    files, rows = file_nos[order], numbers[order]
    breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(files) != 0))
    starts, ends = np.r_[0, breaks + 1], np.r_[breaks, len(rows) - 1]
    return {"file_no": files[starts], "first_row": rows[starts], "last_row": rows[ends]}


def _slices(own_day: date, batches: Sequence[StagedBatch]) -> Iterator[Slice]:
    """The batches' rows, slice by slice of the day's time, in the order of the batches."""
    begin = day_number(own_day) * MICROSECONDS_A_DAY
    width = MICROSECONDS_A_DAY // SLOTS_PER_DAY
    expected = np.zeros(SLOTS_PER_DAY)
    for batch in batches:
        low, high = (batch.first_at - begin) // width, (batch.last_at - begin) // width
        expected[low : high + 1] += batch.rows / (high - low + 1)
    bounds, total = [0], 0.0
    for slot in range(SLOTS_PER_DAY):
        if total and total + expected[slot] > ROWS_PER_SLICE:
            bounds.append(slot)
            total = 0.0
        total += expected[slot]
    bounds.append(SLOTS_PER_DAY)
    with StagedFiles() as staged:
        for low, high in pairwise(bounds):
            first, end = begin + low * width, begin + high * width
            within = [b for b in batches if b.first_at < end and b.last_at >= first]
            # a slot may hold more than a slice, where all heartbeats have one time
            load = float(expected[low:high].sum())
            shares = max(1, round(load / ROWS_PER_SLICE / 2)) if load > 2 * ROWS_PER_SLICE else 1
            for share in range(shares):
                tables: list[pa.RecordBatch] = []
                files: list[int] = []
                codes = []
                for batch in within:
                    rows = staged.batch(batch.path, batch.number)
                    rows = _cut(rows, batch, first, end, share, shares)
                    if rows.num_rows:
                        tables.append(rows)
                        if batch.file_no not in files[-1:]:
                            files.append(batch.file_no)
                        codes.append(np.full(rows.num_rows, len(files) - 1, np.int32))
                if tables:
                    table = pa.Table.from_batches(tables).combine_chunks()
                    yield Slice(table, files, np.concatenate(codes))


def _cut(
    rows: pa.RecordBatch, batch: StagedBatch, first: int, end: int, share: int, shares: int
) -> pa.RecordBatch:
    if batch.first_at < first or batch.last_at >= end:
        times = np.asarray(rows["event_datetime"].cast(pa.int64()))
        rows = rows.filter(pa.array((times >= first) & (times < end)))
    if shares > 1 and rows.num_rows:
        rows = rows.filter(pa.array(in_share(rows["session_id"], share, shares)))
    return rows
