"""Raw records as the contract's: converted to its types, or rejected with the reason."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sprint_platform.landing.chunks import Chunk, shortened
from sprint_platform.landing.columns import choose
from sprint_platform.landing.files import FileRefused
from sprint_platform.landing.forgotten import NOBODY, Forgotten
from sprint_platform.landing.ids import as_uuids
from sprint_platform.landing.raw_columns import one_array, texts
from sprint_platform.landing.values import (
    ENDS_BEFORE_START,
    FINE,
    MISSING,
    OUT_OF_RANGE,
    REASONS,
    TOO_LONG,
    Converted,
    Hashed,
    convert,
    since_launch,
)
from sprint_platform.telemetry.contracts import DATASETS, UNKNOWN_COUNTRY, Column
from sprint_platform.title import Scalar, Title

REJECTED = pa.schema(
    [
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("column_name", pa.string()),
        ("record", pa.string()),
    ]
)
SOURCE_IDS = pa.schema([("kind", pa.string()), ("source_id", pa.string()), ("id", pa.uuid())])

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Conformed:
    """A chunk's records: ``records`` (see ``staged_schema``) and ``rejected`` (``REJECTED``; rows
    0-based within the piece) are together all of them but those of forgotten players, of which
    there are ``forgotten``. ``source_ids`` are the distinct ids of valid records that are no UUIDs,
    ``ignored_columns`` the file's columns that nothing maps."""

    records: pa.Table
    rejected: pa.Table
    source_ids: pa.Table
    ignored_columns: tuple[str, ...]
    forgotten: int = 0


def staged_schema(title: Title, dataset: str) -> pa.Schema:
    """The columns of valid records: their row, then the contract's. Teams are not final before
    admission: the number may be missing, and labels are still texts (``team_label``)."""
    fields = [pa.field("row", pa.int64(), nullable=False)]
    for column in _columns(title, dataset):
        nullable = column.nullable or column.name in ("team_id", "team_label")
        fields.append(pa.field(column.name, column.arrow_type, nullable=nullable))
    return pa.schema(fields)


def _columns(title: Title, dataset: str) -> list[Column]:
    columns = list(DATASETS[dataset].columns)
    if title.landing_settings.mapping.teams == "labels":
        for place, column in enumerate(columns):
            if column.name == "team_id":
                columns[place] = replace(column, name="team_label", type="text", low=None)
    return columns


def conform(title: Title, chunk: Chunk, forgotten: Forgotten = NOBODY) -> Conformed:
    """Checks and converts every record of a chunk, without those of ``forgotten`` players. Raises
    FileRefused("wrong_header") where the file lacks a required column."""
    if forgotten and chunk.broken:
        named = forgotten.named_in(title, [b.record for b in chunk.broken])
        broken = tuple(
            replace(b, record="") if is_named else b
            for b, is_named in zip(chunk.broken, named, strict=True)
        )
        chunk = replace(chunk, broken=broken)
    schema = staged_schema(title, chunk.dataset)
    names = chunk.table.column_names
    if not names:
        empty = schema.empty_table()
        return Conformed(empty, _rejects(chunk, [], [], []), SOURCE_IDS.empty_table(), ())
    mapping = title.landing_settings.mapping
    chosen = choose(mapping, chunk.dataset, names)
    defaults = mapping.defaults.get(chunk.dataset, {})
    columns = _columns(title, chunk.dataset)
    count = chunk.table.num_rows
    # players may have signed up before the launch; products have no days
    begins = None if chunk.dataset == "dim_players" else DATASETS[chunk.dataset].time_column
    fault = np.zeros(count, np.uint8)
    faulty_column = np.zeros(count, np.uint8)
    converted: dict[str, Converted] = {}
    for place, (column, contract) in enumerate(
        zip(columns, DATASETS[chunk.dataset].columns, strict=True)
    ):
        if contract.name in chosen:
            raw = one_array(chunk.table.column(chosen[contract.name]))
            of_column = convert(title, column, raw)
            if contract.name == begins:
                of_column = since_launch(title, raw, of_column)
        elif contract.name in defaults:
            of_column = _default(title, chunk.dataset, column, defaults[contract.name], count)
        elif contract.name == "position_z":
            # a game of two dimensions: 0, or the nearest that the field has
            low, high = title.grid.z
            flat = pa.array([Decimal(min(max(0, low), high))], column.arrow_type)
            of_column = Converted(
                flat.take(pa.array(np.zeros(count, np.int64))), np.zeros(count, np.uint8)
            )
        else:
            nothing = pa.nulls(count, column.arrow_type)
            of_column = Converted(nothing, np.full(count, MISSING, np.uint8))
        of_column = _completed(chunk.dataset, contract, of_column, converted)
        converted[contract.name] = of_column
        here = (fault == FINE) & (of_column.faults != FINE)
        fault[here], faulty_column[here] = of_column.faults[here], place
    gone = np.zeros(count, np.bool_)
    if forgotten and "player_id" in converted:
        gone = forgotten.mask(converted["player_id"].values)
    valid = (fault == FINE) & ~gone
    records = pa.table(
        [
            pa.array(chunk.rows),
            *(converted[c.name].values for c in DATASETS[chunk.dataset].columns),
        ],
        names=schema.names,
    )
    if not valid.all():
        records = records.filter(pa.array(valid))
    # only valid records have no nulls where the schema allows none
    records = records.cast(schema)
    wrong = np.flatnonzero(~valid & ~gone)
    rejected = _rejects(
        chunk,
        wrong,
        [REASONS[code] for code in fault[wrong].tolist()],
        [DATASETS[chunk.dataset].columns[place].name for place in faulty_column[wrong].tolist()],
    )
    used = set(chosen.values())
    ignored = [name for index, name in enumerate(names) if index not in used]
    hashed = [of_column.hashed for of_column in converted.values() if of_column.hashed]
    return Conformed(
        records,
        rejected,
        _source_ids(hashed, valid),
        (*ignored, *chunk.unread),
        int(gone.sum()),
    )


def _default(title: Title, dataset: str, column: Column, value: Scalar, count: int) -> Converted:
    """The title's value for a column that the file lacks, in every row."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    one = convert(title, column, pa.array([text or None], pa.string()))
    if one.faults[0]:
        raise FileRefused(
            "wrong_header",
            f"{column.name} is missing, and landing.mapping.defaults.{dataset}.{column.name}:"
            f" {text!r} is {REASONS[one.faults[0]]}",
        )
    rows = np.zeros(count, np.int64)
    hashed = replace(one.hashed, indices=rows) if one.hashed else None
    return Converted(one.values.take(pa.array(rows)), np.zeros(count, np.uint8), hashed)


def _completed(
    dataset: str, column: Column, converted: Converted, before: dict[str, Converted]
) -> Converted:
    """The column with absent values filled in where the contract allows them or others give them,
    and with faults where a session ends before it starts, or lasts longer than its times say."""
    values, faults = converted.values, converted.faults
    absent = faults == MISSING
    if column.nullable or (dataset, column.name) == ("heartbeats", "team_id"):
        faults = np.where(absent, FINE, faults).astype(np.uint8)
    elif column.name == "country" and absent.any():
        values = values.fill_null(UNKNOWN_COUNTRY)
        faults = np.where(absent, FINE, faults).astype(np.uint8)
    elif dataset == "sessions" and column.name == "event_datetime":
        start, end = _microseconds(before["started_at"]), _microseconds(converted)
        early = (end < start) & (faults == FINE) & (before["started_at"].faults == FINE)
        faults = np.where(early, ENDS_BEFORE_START, faults).astype(np.uint8)
    elif dataset == "sessions" and column.name == "event_length_seconds":
        start, end = (_microseconds(before[name]) for name in ("started_at", "event_datetime"))
        seconds = (end - start) // 1_000_000
        # shorter is a pause; a part of a second may have been rounded up
        longer = (faults == FINE) & (
            np.asarray(values.fill_null(0)) > -((start - end) // 1_000_000)
        )
        faults = np.where(longer, TOO_LONG, faults).astype(np.uint8)
        if not absent.any():
            return Converted(values, faults, converted.hashed)
        assert column.high is not None
        inside = (seconds >= 0) & (seconds <= column.high)
        lengths = np.where(absent, np.where(inside, seconds, 0), np.asarray(values.fill_null(0)))
        values = pa.array(lengths.astype(np.int32))
        faults = np.where(absent, np.where(inside, FINE, OUT_OF_RANGE), faults).astype(np.uint8)
    return Converted(values, faults, converted.hashed)


def _microseconds(times: Converted) -> Integers:
    return np.asarray(times.values.view(pa.int64()).fill_null(0))


def _source_ids(hashed: list[Hashed], valid: npt.NDArray[np.bool_]) -> pa.Table:
    tables: list[pa.Table] = []
    for of_column in hashed:
        indices = of_column.indices[valid]
        # one text may stand at several places
        places = {
            of_column.source_ids[place]: place
            for place in np.unique(indices[indices >= 0]).tolist()
        }
        columns = [
            pa.array([of_column.kind] * len(places), pa.string()),
            pa.array(list(places), pa.string()),
            as_uuids(of_column.ids[list(places.values())]),
        ]
        tables.append(pa.table(columns, schema=SOURCE_IDS))
    return pa.concat_tables([SOURCE_IDS.empty_table(), *tables]).combine_chunks()


def _rejects(
    chunk: Chunk, wrong: Integers | list[int], reasons: list[str], columns: list[str]
) -> pa.Table:
    """The rejected and the broken records, by row."""
    rows: list[tuple[int, str, str | None, str]]
    rows = [(b.row, b.reason, None, shortened(b.record)) for b in chunk.broken]
    if len(wrong):
        numbers = chunk.rows[wrong].tolist()
        records = _as_json(chunk.table.take(pa.array(wrong)))
        rows += zip(numbers, reasons, columns, records, strict=True)
        rows.sort(key=lambda row: row[0])
    of_columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    arrays = [
        pa.array(values, field.type) for values, field in zip(of_columns, REJECTED, strict=True)
    ]
    return pa.table(arrays, schema=REJECTED)


def _as_json(records: pa.Table) -> list[str]:
    """Each record's raw columns as compact JSON."""
    columns = [texts(one_array(column)).to_pylist() for column in records.columns]
    names = records.column_names
    return [
        shortened(
            json.dumps(
                dict(zip(names, values, strict=True)), ensure_ascii=False, separators=(",", ":")
            )
        )
        for values in zip(*columns, strict=True)
    ]
