"""Going on from what a warehouse holds: the next batch, its first day, and where ids go on."""

from __future__ import annotations

from datetime import date, timedelta

from sprint_platform.dataset import BATCH_COLUMN
from sprint_platform.engines.engine import LoadError
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.settings import LAST_BATCH, BatchSettings
from sprint_platform.eventlog.warehouse import EventlogEngine


def continued(
    engine: EventlogEngine, settings: BatchSettings, end: date | None = None
) -> BatchSettings:
    """The same settings for the batch after the last one in the warehouse: it starts the day after
    the last event, ends on ``end`` or has as many days, and ids without a namespace go on from the
    highest.

    Raises LoadError where there is nothing to go on from.
    """
    if sum(engine.existing().values()) < len(RAW_TABLES):
        raise LoadError(f"{engine.described} holds no batch to go on from: generate batch 1 first")
    events = RAW_TABLES["raw_game_events"]
    last_day, last_batch = engine.rows(
        f"select max(substr(event_time, 1, 10)), max({BATCH_COLUMN}) from {engine.relation(events)}"
    )[0]
    if last_day is None:
        raise LoadError(f"{engine.described} holds no event to go on from: generate batch 1 first")
    if int(last_batch) >= LAST_BATCH:
        raise LoadError(f"{engine.described} holds batch {last_batch}, the last that there can be")
    players, sessions, log = (_next_number(engine, table) for table in RAW_TABLES)
    start = date.fromisoformat(str(last_day)) + timedelta(days=1)
    return BatchSettings.read(
        settings.model_dump()
        | {
            "batch": int(last_batch) + 1,
            "start": start,
            "end": end or start + (settings.end - settings.start),
            "numbered_from": (max(players, 1), max(sessions, 1), log),
        }
    )


def _next_number(engine: EventlogEngine, table: str) -> int:
    """The number after the highest id without a namespace: ``player_17`` counts, ``player_2_17``
    does not."""
    (key,) = RAW_TABLES[table].key
    number = f"substr({key}, {len(key) - len('id') + 1})"
    found = engine.rows(
        f"select max(try_cast({number} as bigint)) from {engine.relation(RAW_TABLES[table])}"
        f" where position('_' in {number}) = 0"
    )
    return 0 if found[0][0] is None else int(found[0][0]) + 1
