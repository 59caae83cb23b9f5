"""Which batches a warehouse holds, which of them the models are behind, and what to build."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

import duckdb
import pyarrow as pa

from sprint_platform.dataset import BATCH_COLUMN
from sprint_platform.engines.engine import LoadError
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.load import rows_by_batch
from sprint_platform.eventlog.warehouse import EventlogEngine
from sprint_platform.storage.ledger import Model, standing

# Why a build includes a batch that nobody named.
BEHIND = "loaded, and not built since as it is loaded and defined now"
BUILT_COLUMNS = ("model", "dataset", "period", "digest", "definition", "passed")


def require_batches(
    engine: EventlogEngine, tables: Collection[str], batches: Collection[int]
) -> None:
    """Raises LoadError where one of the raw tables is missing, or does not hold the batches."""
    there = engine.existing()
    for table in (RAW_TABLES[name] for name in RAW_TABLES if name in tables):
        if table.name not in there:
            raise LoadError(
                f"{engine.described} has no {table.name}: sprint eventlog generate, or materialize"
                f" eventlog/{table.name} first"
            )
        held = rows_by_batch(engine, table)
        if missing := sorted(set(batches) - set(held)):
            listed = ", ".join(str(batch) for batch in held) or "none"
            raise LoadError(
                f"{engine.relation(table)} holds no batch {missing[0]}: it holds {listed}"
            )


def batches_behind(engine: EventlogEngine, models: Iterable[Model]) -> set[int]:
    """The batches that all raw tables hold, and from which some model was not built as they are
    loaded now and as it is defined now. Without them, the marts that count all batches would be
    wrong, or mix two definitions."""
    engine.ensure_ledger()
    if len(engine.existing()) < len(RAW_TABLES):
        return set()
    whole = set.intersection(*(set(rows_by_batch(engine, table)) for table in RAW_TABLES.values()))
    loaded = engine.rows(
        f"select dataset, cast({BATCH_COLUMN} as varchar), digest from {engine.ledger.loaded_table}"
    )
    built = engine.rows(f"select {', '.join(BUILT_COLUMNS)} from {engine.ledger.schema}.built_from")
    with duckdb.connect() as con:
        for name, columns, rows in (
            ("loaded_rows", ("dataset", "period", "digest"), loaded),
            ("built_rows", BUILT_COLUMNS, built),
        ):
            values = zip(*rows, strict=True) if rows else [()] * len(columns)
            arrays = [
                pa.array(column, pa.bool_() if of == "passed" else pa.string())
                for of, column in zip(columns, values, strict=True)
            ]
            con.register(name, pa.table(arrays, list(columns)))
        standing_now = standing(
            con, models, "select *, '' as source from loaded_rows", "from built_rows"
        )
    behind = {int(batch) for batch in (*standing_now.unbuilt, *standing_now.stale)}
    return (behind | (whole - {int(batch) for batch in standing_now.built})) & whole


def _last_day(engine: EventlogEngine) -> date | None:
    """The day on which the last session of all batches started."""
    sessions = engine.relation(RAW_TABLES["raw_sessions"])
    day = engine.rows(f"select max(substr(session_start, 1, 10)) from {sessions}")[0][0]
    return None if day is None else date.fromisoformat(str(day))


def to_build(
    engine: EventlogEngine, models: Iterable[Model], batches: Collection[int], as_of: date | None
) -> tuple[list[int], list[int]]:
    """The batches to build where these are requested (none: all of them), and those among them that
    were not requested, but that the models are behind.

    Raises LoadError where one is missing, or where recency would be counted to a day before the
    last session.
    """
    require_batches(engine, RAW_TABLES, batches)
    engine.ensure_ledger()
    also = sorted(batches_behind(engine, models) - set(batches)) if batches else []
    if as_of is not None and (last := _last_day(engine)) is not None and as_of < last:
        raise LoadError(
            f"recency cannot be counted to {as_of}: there are sessions up to {last}; name that day"
            " or a later one"
        )
    return sorted({*batches, *also}), also
