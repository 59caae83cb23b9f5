"""Which batches a warehouse holds, which of them the models are behind, and what to build."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sprint_platform.eventlog.contracts import BATCH_COLUMN, RAW_TABLES
from sprint_platform.eventlog.load import LoadError, Target

# A raw table, the model that has a row for each of its rows, and what is the same of a batch.
BUILT_AS = {
    "raw_sessions": ("fct_sessions", "count(*)"),
    "raw_game_events": ("fct_game_events", "count(*), min(game_version), max(game_version)"),
}
MARTS = "eventlog_mart"


def rows_by_batch(target: Target, relation: str) -> dict[int, int]:
    """How many rows the relation has of each batch."""
    return {batch: int(rows) for batch, (rows,) in _by_batch(target, relation, "count(*)").items()}


def _by_batch(target: Target, relation: str, told: str) -> dict[int, tuple]:
    found = target.rows(f"select {BATCH_COLUMN.name}, {told} from {relation} group by 1 order by 1")
    return {int(batch): tuple(values) for batch, *values in found}


def require_batches(target: Target, tables: Collection[str], batches: Collection[int]) -> None:
    """Raises LoadError where one of the raw tables is missing, or does not hold the batches."""
    there = target.existing()
    for table in (RAW_TABLES[name] for name in RAW_TABLES if name in tables):
        if table.name not in there:
            raise LoadError(
                f"{target.described} has no {table.name}: sprint eventlog generate, or materialize"
                f" eventlog/{table.name} first"
            )
        held = rows_by_batch(target, target.relation(table))
        if missing := sorted(set(batches) - set(held)):
            told = ", ".join(str(batch) for batch in held) or "none"
            raise LoadError(
                f"{target.relation(table)} holds no batch {missing[0]}: it holds {told}"
            )


def unbuilt_batches(target: Target) -> set[int]:
    """The batches that all raw tables hold, and whose facts have other rows (by their number, and
    the game's version): loaded, or loaded anew, and not built since. The marts that count all
    batches would be wrong without them."""
    there = target.existing()
    if len(there) < len(RAW_TABLES):
        return set()
    whole = set.intersection(
        *(set(rows_by_batch(target, target.relation(table))) for table in RAW_TABLES.values())
    )
    behind: set[int] = set()
    for raw, (model, told) in BUILT_AS.items():
        held = _by_batch(target, target.relation(RAW_TABLES[raw]), told)
        built = _by_batch(target, f"{MARTS}.{model}", told) if _is_there(target, model) else {}
        behind |= {batch for batch in whole if built.get(batch) != held[batch]}
    return behind


def _is_there(target: Target, model: str) -> bool:
    found = target.rows(
        "select count(*) from information_schema.tables"
        f" where lower(table_schema) = '{MARTS}' and lower(table_name) = '{model}'"
    )
    return bool(found[0][0])


def _last_day(target: Target) -> date | None:
    """The day on which the last session of all batches started."""
    sessions = target.relation(RAW_TABLES["raw_sessions"])
    day = target.rows(f"select max(substr(session_start, 1, 10)) from {sessions}")[0][0]
    return None if day is None else date.fromisoformat(str(day))


def to_build(
    target: Target, batches: Collection[int], as_of: date | None
) -> tuple[list[int], list[int]]:
    """The batches to build where these are asked for (none: all of them), and those among them that
    nobody asked for, but that the models are behind.

    Raises LoadError where one is not there, or where recency would be counted to a day before the
    last session.
    """
    require_batches(target, RAW_TABLES, batches)
    also = sorted(unbuilt_batches(target) - set(batches)) if batches else []
    if as_of is not None and (last := _last_day(target)) is not None and as_of < last:
        raise LoadError(
            f"recency cannot be counted to {as_of}: there are sessions up to {last}; name that day"
            " or a later one"
        )
    return sorted({*batches, *also}), also
