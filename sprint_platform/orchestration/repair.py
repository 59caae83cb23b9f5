"""`sprint repair`: the database made anew from the partition files, and published anew.

It is made in a data folder of its own beside the files, which it finds through links, and put in
place when it is whole: until then readers have what was published, and a repair that is stopped
goes on where it was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from sprint_platform.core.errors import SprintError
from sprint_platform.core.locks import hold
from sprint_platform.core.settings import variable
from sprint_platform.core.whole_file import whole_file
from sprint_platform.core.window import described, ranges
from sprint_platform.domain import outside_domains
from sprint_platform.engines.database_identity import OtherDatabaseError, begin_anew, note_path
from sprint_platform.engines.duckdb_file import connect, remedy, warehouse_lock
from sprint_platform.engines.load import Mode, ensure_title_schemas
from sprint_platform.eventlog.batches import batches_behind, require_batches
from sprint_platform.eventlog.contracts import DOMAIN as EVENTLOG
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.load import load
from sprint_platform.eventlog.warehouse import LEDGER as EVENTLOG_LEDGER
from sprint_platform.eventlog.warehouse import in_duckdb
from sprint_platform.operations.catch_up import runs_of
from sprint_platform.operations.days_to_build import title_lock, unbuilt_days
from sprint_platform.operations.domain_periods import made_periods
from sprint_platform.operations.landed import landed_marts, load_landed
from sprint_platform.operations.migrate import migrate
from sprint_platform.orchestration.domain_build import build_models
from sprint_platform.orchestration.domain_definitions import OutsideTranslator
from sprint_platform.orchestration.eventlog_models import eventlog_environment, eventlog_translator
from sprint_platform.orchestration.runs import GraphRun, rebuild_days, run_domain
from sprint_platform.orchestration.storefront_models import (
    StorefrontTranslator,
    storefront_environment,
)
from sprint_platform.orchestration.title_models import TitleTranslator
from sprint_platform.places import data_dir, database_path, published_dir
from sprint_platform.publish.marts import existing_relations, publish
from sprint_platform.publish.pruned import restore_pruned
from sprint_platform.publish.views import LINKS, NO_ROWS, publish_views
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.storage.partitions import PRUNED, made_days
from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform.storefront.contracts import DOMAIN as STOREFRONT
from sprint_platform.storefront.duckdb_target import LEDGER as STOREFRONT_LEDGER
from sprint_platform.storefront.duckdb_target import load_days
from sprint_platform.storefront.files import files_of_store, noted_store
from sprint_platform.telemetry.contracts import DAILY
from sprint_platform.title import Title, valid_titles
from sprint_platform.transform.dbt_manifest import graph_manifest

# What runs read or write of the data folder, beside the database and what is published.
FILES = ("raw", "landing", "landed", "eventlog", "catalogue", "truth")
# Called with a line that says what is done next.
Say = Callable[[str], None]


class RepairError(SprintError):
    """A repair that could not be done; what was there before is unchanged."""


def what_is_wrong() -> str | None:
    """Why the database has to be made anew, in one line; None where it can be used."""
    if _whole().exists():
        return "a repair was stopped while it put the new database in place"
    if not database_path().exists() and any((data_dir() / "raw").glob("*/*/*/manifest.json")):
        return f"there is no {database_path()}, but there are partition files"
    try:
        with hold(warehouse_lock(), "sprint repair"), connect():
            return None
    except OtherDatabaseError as error:
        return str(error)
    except duckdb.Error as error:
        if (line := remedy(error)) is None:
            raise
        return line


def migrate_titles(say: Say, *, tables: bool) -> None:
    """Gives what an older version wrote the columns of today's contracts: partitions, and with
    ``tables`` the database's tables (``operations.migrate``)."""
    for title in valid_titles()[0]:
        for line in migrate(title, tables=tables):
            say(line)


def publish_all() -> int:
    """Publishes what of the database is not published as it was built; returns how many files it
    wrote."""
    manifest = graph_manifest()
    titles = valid_titles()[0]
    marts = {title_ledger(t.name): TitleTranslator(t).marts(manifest) for t in titles}
    for title in titles:
        if title.lands:
            marts[title_ledger(title.name)] += landed_marts(title.name)
    outside = map(OutsideTranslator, outside_domains())
    for translator in (eventlog_translator(), StorefrontTranslator(), *outside):
        marts[translator.ledger] = translator.marts(graph_manifest(translator.project))
    written = 0
    with hold(warehouse_lock(), "sprint repair"), connect() as con:
        # of a repair that was stopped, and is not needed any more
        shutil.rmtree(_folder(), ignore_errors=True)
        loaded = existing_relations(con)
        for ledger, of_ledger in marts.items():
            if ledger.loaded_table in loaded:
                # the version before had another ledger
                ledger.ensure(con)
                written += publish(con, ledger, of_ledger).written
    return written


def rebuild(say: Say) -> Path | None:
    """Makes the database anew from the partition files, and publishes it. Returns the path to which
    the old file was moved; None where there was none.

    Raises RepairError where a build failed, where files are gone of what was published, or where
    the old database was written to meanwhile.
    """
    if not _whole().exists():
        if lost := _lost():
            raise RepairError(
                f"{'; '.join(lost)}: published once, but its partition files are gone, so that a"
                " new database would hold less; put them back, or make them again, first"
            )
        migrate_titles(say, tables=False)
        before = note_path().read_bytes() if note_path().exists() else b""
        with _beside():
            for title in valid_titles()[0]:
                _rebuild_title(title, say)
            _rebuild_eventlog(say)
            _rebuild_store(say)
            _rebuild_domains(say)
            published = json.dumps(_published())
        if before != (note_path().read_bytes() if note_path().exists() else b""):
            raise RepairError(
                f"{database_path()} was written to meanwhile: stop schedules, and repair again"
            )
        with whole_file(_whole()) as temporary:
            temporary.write_text(published)
    say("putting the new database in place")
    with hold(warehouse_lock(), "sprint repair"):
        return _put_in_place()


def _folder() -> Path:
    return data_dir() / ".repair"


def _whole() -> Path:
    """The mark that all was built; what is left is to put it in place."""
    return _folder() / "whole"


@contextmanager
def _beside() -> Iterator[None]:
    """Makes ``data_dir`` the folder of the new database for the time of the block."""
    files, folder = data_dir(), _folder()
    folder.mkdir(exist_ok=True)
    (files / "dbt" / "graph").mkdir(parents=True, exist_ok=True)
    (folder / "dbt").mkdir(exist_ok=True)
    for name in (*FILES, "dbt/graph"):
        if (files / name).is_dir() and not (folder / name).exists():
            (folder / name).symlink_to(files / name)
    if published_dir().exists() and not (folder / "published").exists():
        # what was built of pruned records is there only
        shutil.copytree(
            files / "published",
            folder / "published",
            copy_function=os.link,
            ignore=shutil.ignore_patterns(LINKS),
        )
    name = variable("data_dir")
    before = os.environ.get(name)
    os.environ[name] = str(folder)
    try:
        begin_anew()
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _lost() -> list[str]:
    """What was published of files that are gone and that nobody can make again: a line each."""
    lines = []
    for title in valid_titles()[0]:
        landed = set.union(*(made_days(title.name, dataset) for dataset in DAILY))
        if title.lands and (gone := _built(title) - landed):
            lines.append(f"{title.name}, {described(sorted(gone))}")
    if standing := EVENTLOG_LEDGER.published_standing():
        batches = {int(batch) for batch in standing.built} - set(_batches())
        if batches:
            lines.append(f"{EVENTLOG}, batch {', '.join(map(str, sorted(batches)))}")
    if standing := STOREFRONT_LEDGER.published_standing():
        _, days = files_of_store() or ("", [])
        if gone := set(map(date.fromisoformat, standing.built)) - set(days):
            lines.append(f"{STOREFRONT}, {described(sorted(gone))}")
    return lines


def _built(title: Title) -> set[date]:
    """The days that were published as built."""
    standing = title_ledger(title.name).published_standing()
    return set(map(date.fromisoformat, standing.built)) if standing else set()


def _rebuild_title(title: Title, say: Say) -> None:
    from sprint_platform.landing.deliveries import delivered_days
    from sprint_platform.landing.fault_ledger import load_ledger
    from sprint_platform.landing.register import landing_lock
    from sprint_platform.simulation.estimates import estimate, run_seconds

    made = [made_days(title.name, dataset) for dataset in DAILY]
    # days of which files are gone are simulated again
    days = set.union(*made) if title.lands else set.intersection(*made) | _built(title)
    # the launch may have been moved since: the graph has no days before it
    days = {day for day in days if day >= title.launch_date}
    if not days:
        return
    ledger, translator, manifest = (
        title_ledger(title.name),
        TitleTranslator(title),
        graph_manifest(),
    )
    models, marts = translator.models(manifest), translator.marts(manifest)
    with hold(title_lock(title), "sprint repair"):
        landing = hold(landing_lock(title.name), "sprint repair") if title.lands else nullcontext()
        # the landing's lock first, as a landing has it
        with landing, connect() as con:
            ensure_title_schemas(con, title.name)
            pruned = [date.fromisoformat(day) for day in restore_pruned(con, ledger, marts)]
            gone = {name for name, _, source in ledger.loaded_sources(con) if source == PRUNED}
            if title.lands:
                load_landed(con, title)
                publish(con, ledger, landed_marts(title.name))
                behind = unbuilt_days(con, title, models)
                windows = ranges([day for day in behind if day not in pruned])
            else:
                built = ledger.standing(con, models).built
                behind = sorted(day for day in days - {*pruned} if str(day) not in built)
                windows = runs_of(
                    behind, lambda part, runs: run_seconds(estimate(title, part), len(part), runs)
                )
            if title.faults is not None:
                load_ledger(con, title.name, delivered_days(title.name))
        if windows:
            say(f"{title.name}: loading and building {described(sorted(days))}")
        # what was built of pruned records was restored
        for run in rebuild_days(title, ranges(pruned), gone):
            _require(run)
        for run in rebuild_days(title, windows):
            _require(run)


def _rebuild_eventlog(say: Say) -> None:
    from sprint_platform.eventlog.files import read_batch

    batches = _batches()
    if not batches:
        return
    say(f"{EVENTLOG}: loading and building {len(batches)} batches")
    translator = eventlog_translator()
    with connect() as con:
        engine = in_duckdb(con)
        for batch, folder in batches.items():
            load(engine, read_batch(folder), Mode.REPLACE, batch)
        require_batches(engine, RAW_TABLES, batches)
        behind = batches_behind(engine, translator.models(graph_manifest()))
    if behind:
        built = build_models(translator, eventlog_environment(sorted(behind), None))
        _refuse(built.failure)


def _batches() -> dict[int, Path]:
    """The batches whose files are there, in the order of their numbers."""
    from sprint_platform.eventlog.files import batch_dir, eventlog_dir, read_table_file

    found: dict[int, Path] = {}
    # a batch of the command line is in a folder of its own, too, unless an older version wrote it
    for folder in (eventlog_dir(), *batch_dir(1).parent.glob("*")):
        if all((folder / f"{table}.manifest.json").exists() for table in RAW_TABLES):
            found[read_table_file(folder, "raw_players").settings.batch] = folder
    return dict(sorted(found.items()))


def _rebuild_store(say: Say) -> None:
    if (files := files_of_store()) is None:
        return
    source, days = files
    if (found := noted_store(source)) is None:
        raise RepairError(
            f"{STOREFRONT}: its files are of an older version, which did not note their settings:"
            f" move {data_dir() / 'raw' / STOREFRONT} away, repair, and generate the store again"
        )
    from sprint_platform.storefront.generation.store import Store

    say(f"{STOREFRONT}: loading and building {described(days)}")
    with connect() as con:
        load_days(con, list(BRONZE_TABLES), days, Store(found))
        environment = storefront_environment(con, None)
    _refuse(build_models(StorefrontTranslator(), environment).failure)


def _rebuild_domains(say: Say) -> None:
    for domain in outside_domains():
        if periods := made_periods(domain):
            say(f"{domain.name}: loading and building {len(periods)} partitions")
            for run in run_domain(domain, periods, reuse=True):
                _require(run)


def _require(run: GraphRun) -> None:
    _refuse(None if run.success else "; ".join(run.failures) or f"the run {run.run_id} failed")


def _refuse(failure: str | None) -> None:
    if failure:
        raise RepairError(
            f"the new database could not be built ({failure}); the old one is as it was"
        )


def _published() -> dict[str, dict[str, list[str]]]:
    """The published files by title or domain and mart."""
    found = {}
    with duckdb.connect() as con:
        for path in sorted(published_dir().glob("*/ledger.parquet")):
            # of any ledger: its file says the same of days and batches
            marts = title_ledger(path.parent.name).published_marts(con)
            found[path.parent.name] = {name: list(mart.files) for name, mart in marts.items()}
    return found


def _put_in_place() -> Path | None:
    """Moves what is published, then the database, then the note that names it; each step can be
    done again after a kill."""
    folder, database = _folder(), database_path()
    for name, marts in json.loads(_whole().read_text()).items():
        _replace_published(name, marts)
    old = None
    new = folder / database.name
    if new.exists():
        if database.exists():
            old = database.with_name(f"{database.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            _move_database(database, old)
        _move_database(new, database)
    if (note := folder / note_path().name).exists():
        os.replace(note, note_path())
    publish_views()
    shutil.rmtree(folder)
    return old


def _move_database(path: Path, to: Path) -> None:
    # its log first: a database without it would be another
    log = path.with_name(f"{path.name}.wal")
    if log.exists():
        os.replace(log, to.with_name(f"{to.name}.wal"))
    os.replace(path, to)


def _replace_published(name: str, marts: Mapping[str, list[str]]) -> None:
    """Moves the published files of one title or domain into place, and removes those of the same
    marts that are not published any more."""
    new, place = _folder() / "published" / name, published_dir() / name
    for mart, files in marts.items():
        (place / mart).mkdir(parents=True, exist_ok=True)
        for path in (new / mart).glob("*.parquet"):
            os.replace(path, place / mart / path.name)
        for path in (place / mart).glob("*.parquet"):
            if path.stem not in files and path.name != NO_ROWS:
                path.unlink()
    if (new / "ledger.parquet").exists():
        os.replace(new / "ledger.parquet", place / "ledger.parquet")
