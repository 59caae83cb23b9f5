"""The store's days in PostgreSQL: ``bronze`` in the database of the project's settings."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import date

from sprint_platform.core.cores import cores
from sprint_platform.dataset import Column, Dataset
from sprint_platform.engines.load import LoadReport, TableLoad
from sprint_platform.engines.postgres_days import Day, make_partitions
from sprint_platform.engines.postgres_days import load_days as load_side_by_side
from sprint_platform.engines.postgres_engine import ENDED_SECONDS, LOADED_DAYS, PostgresEngine
from sprint_platform.engines.postgres_url import NoConnectionFree, Place, PostgresError, read_place
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storefront.contracts import BRONZE, BRONZE_TABLES, DOMAIN
from sprint_platform.storefront.files import manifests_of
from sprint_platform.storefront.held import HeldStore, noted_settings
from sprint_platform.storefront.settings import StoreSettings

_STORE = Dataset(
    name="loaded_store",
    schema="bronze",
    table="loaded_store",
    one_row_is="the store that is loaded: what its records come from, and its settings",
    key=("source",),
    columns=(
        Column("source", "text", "the store's fingerprint"),
        Column("settings", "json", "what decides its records"),
    ),
    partition_column=None,
)
_BRONZE = Ledger(DOMAIN, BRONZE, ()), (*BRONZE_TABLES.values(), _STORE)
LEDGER, STORE = LOADED_DAYS.relation(DOMAIN), _STORE.relation(DOMAIN)
# A server has a hundred in all, by default, and others use it.
MOST_CONNECTIONS = 8
EMPTIES = "load with --replace, which empties the seven tables first"


def load_days(
    url: str,
    days: Sequence[date],
    source: str,
    settings: StoreSettings,
    replace: bool = False,
    watch: Callable[[date, int], None] | None = None,
    connections: int | None = None,
) -> LoadReport[date]:
    """Adds the days' partitions to the bronze tables, which it makes where they are missing.

    ``source`` is the store's fingerprint, which all partitions must have, and all that is loaded;
    its ``settings`` are noted, and of them ``batch_size`` is how many rows are read and sent at a
    time. ``watch`` is called after each day with the rows of its partitions. So many days are
    loaded at the same time as there are ``connections``, by default one for each core, up to 8.

    A day comes whole or not at all. A failure leaves the days that were loaded before it; the same
    load again goes on from there. With ``replace`` the tables are emptied in the transaction of the
    earliest day: a failure up to its end leaves the old records, a later one the new days so far,
    from which a load without ``replace`` goes on.

    Raises PostgresError, and PartitionError for partitions that are missing, damaged or of another
    store.
    """
    began = time.perf_counter()
    place, stopping = read_place(url), threading.Event()
    found = [(table, manifests_of(table.name, days, source)) for table in BRONZE_TABLES.values()]
    partitions: dict[date, Day] = {
        day: [(table, manifests[day]) for table, manifests in found] for day in sorted(set(days))
    }
    loads: list[TableLoad[date]] = []
    with ExitStack() as stack:
        engines: list[PostgresEngine] = []
        for _ in range(max(1, min(connections or min(cores(), MOST_CONNECTIONS), len(partitions)))):
            try:
                engines.append(_engine(place, settings.batch_size, stopping, wait=not engines))
            except NoConnectionFree:
                if not engines:
                    raise
                break  # with as many as there are
            stack.callback(engines[-1].connection.close)
        with place.in_one_line("nothing was loaded"):
            engines[0].exclude_others()
            engines[0].ensure_tables()
            if replace:
                _refuse_references(engines[0])
            else:
                _refuse_others(engines[0], partitions, source)
                # before the days: two that noted it at once would wait for each other's end. A
                # note without days does no harm: the days decide which store is held
                _note_store(engines[0], source, settings)
            make_partitions(engines, list(partitions))
            for engine in engines:
                engine.begin_days()

        def empty(engine: PostgresEngine) -> None:
            engine.execute(f"truncate {', '.join(map(engine.relation, engine.tables))}")
            _note_store(engine, source, settings)

        # closed where `watch` raises, too: what is under way ends before its connection does
        with closing(load_side_by_side(engines, partitions, empty if replace else None)) as loaded:
            for day, of_day in loaded:
                loads += of_day
                if watch:
                    watch(day, sum(load.added + load.there_already for load in of_day))
        engines[0].settle()
    return LoadReport(
        tables=tuple(
            TableLoad(
                table=name,
                added=sum(load.added for load in loads if load.table == name),
                there_already=sum(load.there_already for load in loads if load.table == name),
                loaded=tuple(partitions),
            )
            for name in BRONZE_TABLES
        ),
        seconds=time.perf_counter() - began,
        described=place.described,
    )


def _engine(
    place: Place, batch_size: int, stopping: threading.Event, *, wait: bool
) -> PostgresEngine:
    """An engine on a connection of its own. Where the user may have one only, ``wait`` until the
    server has noticed that the one before has ended. Raises NoConnectionFree."""
    give_up = time.monotonic() + ENDED_SECONDS
    while True:
        try:
            return PostgresEngine(place, *_BRONZE, batch_size, stopping)
        except NoConnectionFree:
            if not wait or time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def held_store(url: str) -> HeldStore | None:
    """The store whose days the database holds; None where it holds no day. Raises PostgresError,
    also where the server cannot be reached: to be called before days are made."""
    place = read_place(url)
    engine = PostgresEngine(place, *_BRONZE)
    with closing(engine.connection), place.in_one_line("nothing was made or loaded"):
        if not engine.is_there(LOADED_DAYS):
            return None
        stores = engine.rows(
            f"select count(distinct event_date), source from {LEDGER} group by source"
            " order by 1 desc limit 1"
        )
        if not stores:
            return None
        days, source = stores[0]
        noted = []
        # a version that did not note it may have made the tables
        if engine.is_there(_STORE):
            noted = engine.rows(f"select settings::text from {STORE} where source = %s", [source])
    settings = noted_settings(noted[0][0] if noted else None)
    return HeldStore(
        f"{BRONZE} in {place.described}", days, source, settings, option=" --to postgres"
    )


def _refuse_others(engine: PostgresEngine, partitions: Mapping[date, Day], source: str) -> None:
    """Two stores in the same tables would share ids, and neither would be whole."""
    digests = {(day, t.name): m.digest for day, found in partitions.items() for t, m in found}
    for day, table, digest, loaded in engine.rows(
        f"select event_date, table_name, digest, source from {LEDGER}"
        " where source <> %s or event_date = any(%s) order by source = %s, event_date",
        [source, list(partitions), source],
    ):
        if loaded != source:
            raise PostgresError(
                f"{BRONZE} in {engine.described} holds a store of other settings ({loaded}, not"
                f" {source}): {EMPTIES}"
            )
        if digest != digests[day, table]:
            raise PostgresError(
                f"{BRONZE}.{table} in {engine.described} holds other records of {day} than its"
                f" partition: {EMPTIES}"
            )


def _refuse_references(engine: PostgresEngine) -> None:
    """Tables that others refer to cannot be emptied."""
    ours = [table.table for table in engine.tables]
    found = engine.rows(
        "select c.conname, c.conrelid::regclass::text, c.confrelid::regclass::text"
        " from pg_constraint c join pg_class r on r.oid = c.confrelid"
        " where c.contype = 'f' and c.conparentid = 0"
        " and r.relnamespace = to_regnamespace(%s) and r.relname = any(%s)"
        " order by 2, 1 limit 1",
        [engine.ledger.schema, ours],
    )
    for name, table, referred in found:
        raise PostgresError(
            f"the foreign key {name} of {table} refers to {referred}, which --replace empties"
            f" ({engine.described}): drop it (alter table {table} drop constraint {name}), and make"
            " it again after the load"
        )


def _note_store(engine: PostgresEngine, source: str, settings: StoreSettings) -> None:
    engine.execute(
        f"insert into {STORE} (source, settings) values (%s, %s) on conflict do nothing",
        [source, json.dumps(settings.records_from())],
    )
