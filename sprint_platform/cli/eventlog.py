"""`sprint eventlog`: the game event log, generated in batches, loaded, and modelled."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal as bytes_as_text
from rich.markup import escape
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from sprint_platform.cli.options import read_day
from sprint_platform.cli.progress import Bars, working
from sprint_platform.cli.run_report import print_build
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.core.locks import hold
from sprint_platform.engines.load import LoadReport, Mode
from sprint_platform.eventlog.contracts import RAW_TABLES
from sprint_platform.eventlog.load import load
from sprint_platform.eventlog.settings import LAST_BATCH, BatchSettings
from sprint_platform.eventlog.warehouse import EventlogEngine, open_duckdb, open_snowflake

if TYPE_CHECKING:
    from sprint_platform.engines.snowflake_credentials import SnowflakeCredentials
    from sprint_platform.eventlog.files import BatchFile

app = typer.Typer(
    no_args_is_help=True,
    help="The event log of a single-player story game: players, sessions, events, in batches.",
)


class Warehouse(StrEnum):
    """Where batches are loaded to."""

    duckdb = "duckdb"
    snowflake = "snowflake"


class LoadMode(StrEnum):
    """How `sprint eventlog load` treats what is there."""

    recreate = "recreate"
    append = "append"


ToOption = Annotated[Warehouse, typer.Option("--to", help="Which warehouse.")]


@app.command()
def generate(
    batch: Annotated[
        int | None, typer.Option(help="Which batch, 1 to 999 \\[LOAD_BATCH_ID, or 1].")
    ] = None,
    players: Annotated[
        int | None, typer.Option(help="How many players \\[N_PLAYERS, or 2000].")
    ] = None,
    max_sessions: Annotated[
        int | None,
        typer.Option(help="Most sessions of a player \\[MAX_SESSIONS_PER_PLAYER, or 25]."),
    ] = None,
    game_version: Annotated[
        str | None, typer.Option(help="The version in the events \\[GAME_VERSION, or 1.0.3].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same bytes \\[GAME_DATA_SEED, or 42].")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="First day, YYYY-MM-DD \\[batch 1: 2011-01-13; each has 31 days]."),
    ] = None,
    end: Annotated[str | None, typer.Option(help="Last day \\[30 days after the first].")] = None,
    go_on: Annotated[
        bool,
        typer.Option(
            "--continue",
            help="The next batch, numbered on from what the warehouse holds, from the day after"
            " its last event.",
        ),
    ] = False,
    ingest: Annotated[
        bool, typer.Option("--ingest/--no-ingest", help="Load the batch, or only write its files.")
    ] = True,
    to: ToOption = Warehouse.duckdb,
) -> None:
    """Write a batch to data/eventlog/raw_*.csv, and load it.

    Loading replaces this batch's rows in the warehouse, and leaves those of other batches.
    """
    from sprint_platform.eventlog.continuing import continued
    from sprint_platform.eventlog.files import (
        archive_batch,
        batch_lock,
        eventlog_dir,
        write_batch,
    )

    if go_on and (batch is not None or start is not None):
        raise Stop("--continue chooses the batch and its first day: leave --batch and --start out")
    given = {
        # the warehouse says which batch is next
        "batch": 1 if go_on else batch,
        "players": players,
        "max_sessions": max_sessions,
        "game_version": game_version,
        "seed": seed,
        "start": read_day("--start", start) if start else None,
    }
    last = read_day("--end", end) if end else None
    settings = BatchSettings.read(given if go_on else {**given, "end": last})
    if ingest and to is Warehouse.snowflake:
        # before the files of the last batch are overwritten
        _snowflake_credentials()
    with hold(batch_lock(eventlog_dir()), "sprint eventlog generate"):
        if go_on:
            with _opened(to, "generate --continue") as target:
                settings = continued(target, settings, last)
        out.print(
            f"[bold]batch {settings.batch}[/], {settings.start} to {settings.end}:"
            f" {settings.players:,} players, seed {settings.seed}",
            highlight=False,
        )
        with _row_counts() as watch:
            # also what a version before wrote, which this batch takes the place of
            archive_batch()
            files = write_batch(settings, eventlog_dir(), watch)
            archive_batch()
        _print_files(files)
        if ingest:
            paths = {table: file.path for table, file in files.items()}
            with _opened(to, f"generate of batch {settings.batch}") as target:
                _print_load(target, load(target, paths, Mode.REPLACE, settings.batch))
    if ingest:
        out.print(f"Next: [bold]sprint eventlog build --batch {settings.batch}{_to(to)}[/]")
    else:
        mode = "recreate" if settings.batch == 1 else "append"
        out.print(f"Next: [bold]sprint eventlog load --mode {mode}{_to(to)}[/]")


@app.command("load")
def load_files(
    to: ToOption = Warehouse.duckdb,
    mode: Annotated[
        LoadMode | None,
        typer.Option(
            help="recreate: drop what is there and load. append: add the rows that are not there."
            " Asked for when a person is there."
        ),
    ] = None,
) -> None:
    """Load data/eventlog/raw_*.csv. A load that fails leaves the old data."""
    from sprint_platform.eventlog.files import batch_lock, eventlog_dir, read_batch

    with hold(batch_lock(eventlog_dir()), "sprint eventlog load"):
        files = read_batch(eventlog_dir())
        chosen = mode or _ask_mode()
        with _opened(to, f"load --mode {chosen.value}") as target:
            _print_load(target, load(target, files, Mode(chosen.value)))
    out.print(f"Next: [bold]sprint eventlog build{_to(to)}[/]")


@app.command()
def build(
    batch: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=LAST_BATCH,
            help="A batch that came or changed; may be said several times \\[all].",
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="The day to which recency is counted \\[the last session's]."),
    ] = None,
    to: ToOption = Warehouse.duckdb,
) -> None:
    """Build and test the models with dbt."""
    from sprint_platform.eventlog.batches import BEHIND, to_build
    from sprint_platform.orchestration.domain_build import build_models
    from sprint_platform.orchestration.eventlog_models import (
        eventlog_environment,
        eventlog_translator,
    )
    from sprint_platform.transform.dbt_manifest import graph_manifest

    day = read_day("--as-of", as_of) if as_of else None
    if day and batch:
        raise Stop("--as-of is a day for all batches: leave --batch out")
    secrets = _snowflake_credentials().environment() if to is Warehouse.snowflake else {}
    translator = eventlog_translator()
    models = translator.models(graph_manifest())
    with _opened(to, "build") as target:
        batches, also = to_build(target, models, batch or [], day)
    if also:
        numbers = ", ".join(str(number) for number in also)
        out.print(f"also batch {numbers}: {BEHIND}", highlight=False)
    environment = {**eventlog_environment(batches, day), **secrets}
    with working("building and testing the models"):
        built = build_models(translator, environment, to.value)
    print_build(built)


def _ask_mode() -> LoadMode:
    if not sys.stdin.isatty():
        raise Stop("say --mode recreate to load afresh, or --mode append to add what is not there")
    again = typer.confirm("Drop what is there and load afresh? (no adds what is not there)", False)
    return LoadMode.recreate if again else LoadMode.append


def _to(to: Warehouse) -> str:
    return "" if to is Warehouse.duckdb else f" --to {to.value}"


@contextmanager
def _opened(to: Warehouse, what: str) -> Iterator[EventlogEngine]:
    if to is Warehouse.duckdb:
        with open_duckdb(f"sprint eventlog {what}") as target:
            yield target
        return
    with open_snowflake(_snowflake_credentials()) as warehouse:
        yield warehouse


def _snowflake_credentials() -> SnowflakeCredentials:
    from sprint_platform.engines.snowflake_credentials import SnowflakeCredentials

    return SnowflakeCredentials.read()


@contextmanager
def _row_counts() -> Iterator[Callable[[str, int], None]]:
    """A progress line per table, with its rows so far. Yields a callback of a table and rows."""
    lines = Bars(
        SpinnerColumn(),
        TextColumn("{task.description:<16}"),
        TextColumn("{task.completed:>12,.0f} rows"),
        TimeElapsedColumn(),
    )
    tasks = {table: lines.add_task(table, total=None, visible=False) for table in RAW_TABLES}

    def watch(table: str, rows: int) -> None:
        lines.update(tasks[table], visible=True)
        lines.advance(tasks[table], rows)

    with lines:
        yield watch


def _print_files(files: Mapping[str, BatchFile]) -> None:
    table = Table()
    for heading in ("file", "rows", "size", "sha256"):
        table.add_column(heading, justify="right" if heading in ("rows", "size") else "left")
    for file in files.values():
        table.add_row(file.path.name, f"{file.rows:,}", bytes_as_text(file.bytes), file.sha256[:16])
    out.print(table)
    folder = next(iter(files.values())).path.parent
    out.print(f"written to {escape(str(folder))}", highlight=False, soft_wrap=True)


def _print_load(target: EventlogEngine, report: LoadReport[int]) -> None:
    counts = Table()
    for heading in ("table", "added", "there already", "removed"):
        counts.add_column(heading, justify="left" if heading == "table" else "right")
    for table in report.tables:
        counts.add_row(
            target.relation(RAW_TABLES[table.table]),
            f"{table.added:,}",
            f"{table.there_already:,}",
            f"{table.removed:,}",
        )
    out.print(counts)
    where = f"loaded into {target.described} in {report.seconds:.1f} s"
    out.print(escape(where), highlight=False, soft_wrap=True)
