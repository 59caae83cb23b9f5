"""Dirt on purpose: which of a title's records get which fault, and their values then.

Every choice is a hash of (seed, the record's key, the fault), so the same records are dirty
whenever and wherever a day is made, and raising one fault's rate adds to its records. At most one
fault befalls a record, the first of the contract's that does: the ledger is unambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.draws import U64, below, mix, stream_key, threshold, top_bits, uuids
from sprint_platform.simulation.columns import (
    MICROSECONDS,
    decimal_column,
    midnight,
    timestamp_column,
    uuid_column,
)
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.telemetry.dirt import Befallen, Dirtied
from sprint_platform.title import Faults, Title

I64 = npt.NDArray[np.int64]
Bits = npt.NDArray[np.bool_]

# A session record with one of these faults is not there on its day, so that its heartbeats wait.
# A fault of a heartbeat that waits cannot be seen, so such heartbeats have none of their own.
# They are the first of the sessions' faults and befall any session: whether one of them did is
# known without the session record.
AWAY = ("dropped", "late", "malformed", "null_session_end")
assert DATASETS["sessions"].faults[: len(AWAY)] == AWAY

# What a broken exporter writes: no reader takes it for a time, number or amount.
GARBAGE = ("#REF!", "unknown", "12.3.4", "0x1F", "--", "[object Object]")
# Types whose text can be wrong: any text may be an id or a name, and teams may have labels.
BREAKABLE = ("timestamp", "integer", "position", "money")


def delivered(title: Title, dataset: str, records: pa.Table, day: date, later: int) -> Dirtied:
    """The day's records that are delivered ``later`` days after it (0: on the day itself).

    ``records`` has the contract's schema. A fault of order (out_of_order, duplicate) moves a record
    within the table, and befalls none where a table is too small for that.
    """
    assert title.faults is not None
    dirt = _Dirt.of(title, dataset, records, day)
    if later:
        rows = np.flatnonzero(dirt.has("late") & (dirt.days_late == later))
        late = _nullable(_take(records, rows))
        faults = (Befallen("late", _keys(dataset, late), np.arange(rows.size)),)
        return Dirtied(late, {}, faults if rows.size else ())
    return _on_time(title, dataset, records, day, dirt)


@dataclass(frozen=True)
class _Dirt:
    """The fault of each of some records, as its place among the contract's (-1: none), and
    draws."""

    dataset: str
    seed: int
    number: U64
    fault: npt.NDArray[np.int8]
    late_by: int

    @classmethod
    def of(cls, title: Title, dataset: str, records: pa.Table, day: date) -> _Dirt:
        faults = title.faults
        assert faults is not None
        number = _numbers(title.seed, dataset, records, day)
        fault = np.full(len(number), -1, np.int8)
        possible = np.ones(len(number), np.bool_)
        if dataset == "heartbeats":
            session = _numbers(title.seed, "sessions", records, day)
            for name in AWAY:
                possible &= ~_befalls(title.seed, faults, name, session)
        # backwards, so that the first of a record's faults is the one that stays
        for index, name in reversed(list(enumerate(DATASETS[dataset].faults))):
            can = possible
            if name == "out_of_order" and len(number) < 3:
                continue  # there is no other place to be
            if name == "negative_amount":
                can = possible & (_hundredths(records, "purchase_price") > 0)
            elif name == "overlapping_session":
                can = possible & (_overlap_start(records, day) < _micros(records, "event_datetime"))
            fault[can & _befalls(title.seed, faults, name, number)] = index
        return cls(dataset, title.seed, number, fault, faults.late_days)

    def has(self, fault: str) -> Bits:
        known = DATASETS[self.dataset].faults
        return self.fault == (known.index(fault) if fault in known else len(known))

    def draw(self, stream: str) -> U64:
        return mix(stream_key(self.seed, f"dirt/{stream}"), self.number)

    @property
    def days_late(self) -> I64:
        return 1 + below(self.draw("days-late"), self.late_by)


def _on_time(title: Title, dataset: str, records: pa.Table, day: date, dirt: _Dirt) -> Dirtied:
    """What is delivered on the records' own day: faults of order first, then those of values."""
    absent = dirt.has("dropped")
    on_time = np.flatnonzero(~absent & ~dirt.has("late"))
    # the rows of the file: those on time, second copies, and sessions that overlap
    copies = np.flatnonzero(dirt.has("duplicate")[on_time])
    overlaps = np.flatnonzero(dirt.has("overlapping_session")[on_time])
    moved = np.flatnonzero(dirt.has("out_of_order")[on_time])
    rows = np.concatenate([on_time, on_time[copies], on_time[overlaps]])
    # a row's place is twice its number; a row that comes in between stands at an odd one
    place = np.concatenate([2 * np.arange(on_time.size), 2 * copies, 2 * overlaps + 1])
    elsewhere = _elsewhere(dirt, on_time)
    place[moved] = 2 * elsewhere[moved] + 1
    place[on_time.size : on_time.size + copies.size] = 2 * elsewhere[copies] + 1
    order = np.argsort(place, kind="stable")
    chosen = rows[order]
    at = np.empty(rows.size, np.int64)  # where each of the rows stands in the end
    at[order] = np.arange(rows.size)

    untouched = np.array_equal(chosen, np.arange(records.num_rows))
    out = _nullable(records if untouched else _take(records, chosen))
    at_overlap = at[on_time.size + copies.size :]
    # the rows after those of `on_time` are copies: each fault is noted for one row
    befallen = {
        name: at[: on_time.size][dirt.has(name)[on_time]] for name in DATASETS[dataset].faults
    }
    befallen["overlapping_session"] = at_overlap
    befallen["duplicate"] = np.maximum(at[copies], at[on_time.size : on_time.size + copies.size])
    keys = {name: _keys(dataset, _take(out, where)) for name, where in befallen.items()}

    if at_overlap.size:
        out = _overlapping(
            out, at_overlap, title.seed, dirt.draw("overlap")[on_time[overlaps]], day
        )
        keys["overlapping_session"] = _keys(dataset, _take(out, at_overlap))
    out = _spoilt(title, out, befallen, dirt.draw("skew")[chosen])
    broken = befallen.get("malformed", _NONE)
    garbage = _garbage(dataset, broken, dirt.draw("garbage")[chosen[broken]])

    faults = [
        Befallen(name, keys[name], where)
        for name, where in befallen.items()
        if where.size and name not in ("dropped", "late")
    ]
    if absent.any():
        gone = _take(records, np.flatnonzero(absent))
        faults.append(Befallen("dropped", _keys(dataset, gone), None))
    return Dirtied(out, garbage, tuple(faults))


_NONE = np.zeros(0, np.int64)


def _spoilt(title: Title, out: pa.Table, befallen: dict[str, I64], draw: U64) -> pa.Table:
    """The records with the values that their faults give them; ``draw`` is one of each."""
    if (ends := befallen.get("null_session_end", _NONE)).size:
        out = _with(out, "event_datetime", _blanked(out["event_datetime"], ends))
    if (prices := befallen.get("negative_amount", _NONE)).size:
        amount = _hundredths(out, "purchase_price").astype(np.int32)
        amount[prices] *= -1
        out = _with(out, "purchase_price", decimal_column(amount, 9))
    if (skewed := befallen.get("clock_skew", _NONE)).size:
        backward = (draw[skewed] >> np.uint64(63)).astype(np.int64)
        moment = _micros(out, "event_datetime")
        moment[skewed] += (1 - 2 * backward) * _skew_hours(title) * 3600 * MICROSECONDS
        out = _with(out, "event_datetime", timestamp_column(moment))
    return out


def _numbers(seed: int, dataset: str, records: pa.Table, day: date) -> U64:
    """A number for each record, from its key and day."""
    key = stream_key(seed, f"record/{dataset}", day.toordinal())
    number = np.zeros(records.num_rows, np.uint64)
    for name in DATASETS[dataset].key:
        for word in _words(records, name):
            number = mix(key, number ^ word)
    return number


def _befalls(seed: int, faults: Faults, fault: str, number: U64) -> Bits:
    rate = threshold(getattr(faults, fault))
    if not rate:
        return np.zeros(number.shape, np.bool_)
    return top_bits(mix(stream_key(seed, f"dirt/{fault}"), number)) < rate


def _elsewhere(dirt: _Dirt, rows: I64) -> I64:
    """For each row another one, after which it would stand elsewhere in the file."""
    if rows.size < 3:
        return np.zeros(rows.size, np.int64)
    # neither itself nor the row before it
    steps = 1 + below(dirt.draw("place")[rows], rows.size - 2)
    return (np.arange(rows.size) + steps) % rows.size


def _overlap_start(records: pa.Table, day: date) -> I64:
    """The start of a session that overlaps the record's: half-way through it, on the same day."""
    start, end = _micros(records, "started_at"), _micros(records, "event_datetime")
    half = (end - start) // (2 * MICROSECONDS) * MICROSECONDS
    last = midnight(day) + (86_400 - 1) * MICROSECONDS
    return np.minimum(start + half, last)


def _overlapping(out: pa.Table, rows: I64, seed: int, draw: U64, day: date) -> pa.Table:
    """These rows as sessions of their own that begin within the record's and last as long."""
    seconds = np.asarray(_take(out, rows)["event_length_seconds"], np.int64)
    start = _micros(out, "started_at")
    end = _micros(out, "event_datetime")
    start[rows] = _overlap_start(_take(out, rows), day)
    end[rows] = start[rows] + seconds * MICROSECONDS
    ids = _ids(out, "session_id").copy()
    ids[rows] = uuids(seed, "overlapping", draw)
    out = _with(out, "session_id", uuid_column(ids))
    out = _with(out, "started_at", timestamp_column(start))
    return _with(out, "event_datetime", timestamp_column(end))


def _skew_hours(title: Title) -> int:
    """Whole hours that lead out of any session and beyond the tolerance, forward and back. The same
    for all: two skewed heartbeats of a player never fall on one time."""
    assert title.simulation is not None
    widest = title.simulation.sessions.longest_seconds
    widest += title.landing_settings.session_tolerance_seconds
    return widest // 3600 + 1


def _garbage(dataset: str, rows: I64, draw: U64) -> dict[str, dict[int, str]]:
    columns = [c.name for c in DATASETS[dataset].columns if c.type in BREAKABLE]
    found: dict[str, dict[int, str]] = {}
    texts = below(mix(1, draw), len(GARBAGE))
    for row, column, text in zip(rows, below(draw, len(columns)), texts, strict=True):
        found.setdefault(columns[column], {})[int(row)] = GARBAGE[text]
    return found


def _keys(dataset: str, records: pa.Table) -> pa.Table:
    return records.select(DATASETS[dataset].key)


def _take(records: pa.Table, rows: I64) -> pa.Table:
    return records.take(pa.array(rows))


def _nullable(records: pa.Table) -> pa.Table:
    schema = pa.schema([field.with_nullable(True) for field in records.schema])
    return pa.Table.from_arrays(records.combine_chunks().columns, schema=schema)


def _with(records: pa.Table, name: str, column: pa.Array) -> pa.Table:
    index = records.schema.get_field_index(name)
    return records.set_column(index, records.schema.field(index), column)


def _blanked(column: pa.ChunkedArray, rows: I64) -> pa.Array:
    missing = np.zeros(len(column), np.bool_)
    missing[rows] = True
    return pa.array(column.to_numpy(), column.type, mask=missing)


def _flat(records: pa.Table, name: str) -> pa.Array:
    """The column as one array, an id as its 16 bytes."""
    column = records[name].combine_chunks()
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _ids(records: pa.Table, name: str) -> npt.NDArray[np.void]:
    flat = _flat(records, name)
    return np.frombuffer(flat.buffers()[1], "V16")[flat.offset : flat.offset + len(flat)]


def _words(records: pa.Table, name: str) -> list[U64]:
    """A key column as 64-bit words: two of an id, one of a time."""
    if isinstance(records.schema.field(name).type, pa.UuidType):
        pairs = np.frombuffer(_ids(records, name).tobytes(), ">u8").reshape(-1, 2)
        return [pairs[:, 0].astype(np.uint64), pairs[:, 1].astype(np.uint64)]
    return [_micros(records, name).view(np.uint64)]


def _micros(records: pa.Table, name: str) -> I64:
    """A time column in microseconds since 1970, as a copy that may be written."""
    flat = _flat(records, name)
    values = np.frombuffer(flat.buffers()[1], "<i8")[flat.offset : flat.offset + len(flat)]
    return values.copy()


def _hundredths(records: pa.Table, name: str) -> I64:
    flat = _flat(records, name)
    values = np.frombuffer(flat.buffers()[1], "<i4")[flat.offset : flat.offset + len(flat)]
    return values.astype(np.int64)
