"""`sprint storefront`: the studio's web store, generated day by day, loaded, and modelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal as bytes_as_text
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from sprint_platform.cli.options import read_day
from sprint_platform.cli.progress import Bars, working
from sprint_platform.cli.run_report import print_build
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.places import data_dir, database_path
from sprint_platform.storefront.contracts import BRONZE, DOMAIN
from sprint_platform.storefront.settings import StoreSettings

if TYPE_CHECKING:
    from sprint_platform.storefront.files import Written
    from sprint_platform.storefront.generation.store import Store
    from sprint_platform.storefront.held import HeldStore

app = typer.Typer(
    no_args_is_help=True,
    help="The web store of a game studio: customers, orders, stock, reviews, clicks, day by day.",
)


class Preset(StrEnum):
    """How large a store."""

    small = "small"
    medium = "medium"
    large = "large"


class Warehouse(StrEnum):
    """Where days are loaded to."""

    duckdb = "duckdb"
    postgres = "postgres"


PresetOption = Annotated[
    Preset | None,
    typer.Option(
        help="small: 1,000 customers in 30 days; medium: 10,000 in 365; large: 100,000 in 730"
        " \\[SPRINT_STORE_PRESET, or medium]."
    ),
]
CustomersOption = Annotated[int | None, typer.Option(help="How many \\[SPRINT_STORE_CUSTOMERS].")]
ProductsOption = Annotated[int | None, typer.Option(help="How many \\[SPRINT_STORE_PRODUCTS].")]
OrdersOption = Annotated[int | None, typer.Option(help="How many \\[SPRINT_STORE_ORDERS].")]
DaysOption = Annotated[
    int | None, typer.Option(help="Days in which it gets there \\[SPRINT_STORE_DAYS].")
]
SeedOption = Annotated[
    int | None, typer.Option(help="Same seed, same records \\[SPRINT_STORE_SEED, or 42].")
]
TitleOption = Annotated[
    str | None,
    typer.Option(help="The game whose players have accounts \\[SPRINT_STORE_TITLE, or sprint]."),
]
BatchOption = Annotated[
    int | None,
    typer.Option(help="Rows sent to PostgreSQL at a time \\[SPRINT_STORE_BATCH_SIZE, or 50000]."),
]
StartOption = Annotated[
    str | None,
    typer.Option(help="Day on which it opens \\[SPRINT_STORE_START, or 2025-01-01]."),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="First day, YYYY-MM-DD \\[default: that on which it opens]."),
]
ToOption = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="DAY",
        help="Last day, YYYY-MM-DD \\[default: the last of --days]. duckdb or postgres is taken"
        " for the --warehouse; may be given twice.",
    ),
]
WarehouseOption = Annotated[
    Warehouse | None,
    typer.Option(
        "--warehouse",
        help="Where days are loaded to \\[default: duckdb]; postgres is SPRINT_POSTGRES_URL.",
    ),
]


@app.command()
def generate(
    preset: PresetOption = None,
    customers: CustomersOption = None,
    products: ProductsOption = None,
    orders: OrdersOption = None,
    days: DaysOption = None,
    seed: SeedOption = None,
    start: StartOption = None,
    title: TitleOption = None,
    batch_size: BatchOption = None,
    first: FromOption = None,
    to: ToOption = None,
    load: Annotated[bool, typer.Option("--load", help="Load the days that were written.")] = False,
    warehouse: WarehouseOption = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Remove the files of a store with other settings; with --load also what the"
            " warehouse holds of it.",
        ),
    ] = False,
) -> None:
    """Write the store's days to data/raw/storefront, and load them with --load.

    What no flag or variable says is as in the store that the warehouse holds: --from and --to alone
    extend it.
    """
    from sprint_platform.storefront.files import remove_others, write_days
    from sprint_platform.storefront.generation.store import Store
    from sprint_platform.storefront.held import choose_settings, refuse_other

    target, last = _read_to(to, warehouse)
    if target and not load:
        raise Stop("--warehouse (or --to) says where days are loaded to: add --load")
    given = _given(customers, products, orders, days, seed, start, title, batch_size)
    held = _held_store(target)
    settings = choose_settings(held, given, preset)
    wanted = _read_days(settings, first, last)
    store = Store(settings)
    # before an hour of work, and before another store's files are overwritten
    if load and not replace:
        refuse_other(held, store.source, settings)
    if not replace:
        _refuse_other_files(store, held)
    _print_settings(settings, wanted)
    with _days_bar("writing", wanted) as watch:
        written = write_days(store, wanted, watch)
    # the old store's days stay until the new ones are there
    if replace and (removed := remove_others(store.source)):
        out.print(f"removed {removed:,} partitions of a store with other settings", highlight=False)
    _print_files(written)
    if load:
        _load(store, wanted, target, replace)


@app.command("load")
def load_files(
    preset: PresetOption = None,
    customers: CustomersOption = None,
    products: ProductsOption = None,
    orders: OrdersOption = None,
    days: DaysOption = None,
    seed: SeedOption = None,
    start: StartOption = None,
    title: TitleOption = None,
    batch_size: BatchOption = None,
    first: FromOption = None,
    to: ToOption = None,
    warehouse: WarehouseOption = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Where the warehouse holds a store of other settings: drop that first.",
        ),
    ] = False,
) -> None:
    """Load the days that `generate` wrote with these settings. Done twice, it adds nothing."""
    from sprint_platform.storefront.generation.store import Store
    from sprint_platform.storefront.held import choose_settings, refuse_other

    target, last = _read_to(to, warehouse)
    given = _given(customers, products, orders, days, seed, start, title, batch_size)
    held = _held_store(target)
    settings = choose_settings(held, given, preset)
    store = Store(settings)
    if not replace:
        refuse_other(held, store.source, settings)
    _load(store, _read_days(settings, first, last), target, replace)


@app.command()
def build() -> None:
    """Build and test the models of all days that are in DuckDB, with dbt."""
    from sprint_platform.core.locks import hold
    from sprint_platform.engines.duckdb_file import connect, warehouse_lock
    from sprint_platform.orchestration.domain_build import build_models
    from sprint_platform.orchestration.storefront_models import (
        StorefrontTranslator,
        require_any,
        storefront_environment,
    )
    from sprint_platform.storefront.duckdb_target import withdraw_replaced

    with hold(warehouse_lock(), f"sprint {DOMAIN} build"), connect() as con:
        require_any(con)
        withdraw_replaced(con)
        environment = storefront_environment(con, None)
    with working("building and testing the models"):
        built = build_models(StorefrontTranslator(), environment)
    print_build(built)


def _read_to(
    given: list[str] | None, warehouse: Warehouse | None
) -> tuple[Warehouse | None, str | None]:
    """The warehouse and the last day from ``--to`` and ``--warehouse``, None where not given.
    ``--to`` also takes a warehouse, as it did before the store had days. Raises Stop where they
    contradict each other."""
    names = {place.value: place for place in Warehouse}
    places = {names[value] for value in given or [] if value in names}
    days = [value for value in given or [] if value not in names]
    if warehouse:
        places.add(warehouse)
    if len(places) > 1:
        raise Stop("--to and --warehouse say both duckdb and postgres: load into one after another")
    if len(days) > 1:
        raise Stop(f"--to says {len(days)} days, {' and '.join(days)}: the last day is one")
    for day in days:
        read_day("--to (where it is neither duckdb nor postgres)", day)
    return (places.pop() if places else None), (days[0] if days else None)


def _read_days(settings: StoreSettings, first: str | None, last: str | None) -> list[date]:
    return settings.days_between(
        read_day("--from", first) if first else None,
        read_day("--to", last) if last else None,
        datetime.now(UTC).date(),
    )


def _given(
    customers: int | None,
    products: int | None,
    orders: int | None,
    days: int | None,
    seed: int | None,
    start: str | None,
    title: str | None,
    batch_size: int | None,
) -> dict[str, Any]:
    return {
        "customers": customers,
        "products": products,
        "orders": orders,
        "days": days,
        "seed": seed,
        "start": read_day("--start", start) if start else None,
        "title": title,
        "batch_size": batch_size,
    }


def _postgres_url() -> str:
    from sprint_platform.engines.postgres_url import read_url

    return read_url()


def _held_store(target: Warehouse | None) -> HeldStore | None:
    """The store that the warehouse holds, None where it holds none. Waits for the lease of DuckDB's
    file."""
    if target is Warehouse.postgres:
        from sprint_platform.storefront import postgres

        return postgres.held_store(_postgres_url())
    from sprint_platform.core.locks import hold
    from sprint_platform.engines.duckdb_file import connect, warehouse_lock
    from sprint_platform.storefront.duckdb_target import held_store

    if not database_path().exists():
        return None
    with hold(warehouse_lock(), f"sprint {DOMAIN}"), connect() as con:
        return held_store(con)


def _refuse_other_files(store: Store, held: HeldStore | None) -> None:
    """Raises Stop where another store's files would be overwritten: stores share file names."""
    from sprint_platform.storefront.files import other_files
    from sprint_platform.storefront.held import described_sources

    if others := other_files(store.source):
        raise Stop(
            f"{data_dir() / 'raw' / DOMAIN} holds {others.total():,} partitions of a store with"
            f" other settings ({described_sources(others, held, store.settings)}): nothing was"
            " written. --replace puts this store in their place; SPRINT_DATA_DIR names another data"
            " folder"
        )


def _load(store: Store, days: list[date], target: Warehouse | None, replace: bool) -> None:
    if target is Warehouse.postgres:
        from sprint_platform.storefront.postgres import load_days as load_into_postgres

        with _days_bar("loading", days) as watch:
            loaded = load_into_postgres(
                _postgres_url(), days, store.source, store.settings, replace, watch
            )
        counts = _counts("added", "there already")
        for table in loaded.tables:
            counts.add_row(
                f"{BRONZE}.{table.table}", f"{table.added:,}", f"{table.there_already:,}"
            )
        out.print(counts)
        _print_seconds(loaded.described, len(days), loaded.seconds)
        return
    from sprint_platform.core.locks import hold
    from sprint_platform.engines.duckdb_file import connect, warehouse_lock
    from sprint_platform.storefront.contracts import BRONZE_TABLES
    from sprint_platform.storefront.duckdb_target import load_days

    with hold(warehouse_lock(), f"sprint {DOMAIN} load"), connect() as con:
        report = load_days(con, list(BRONZE_TABLES), days, store, replace)
    counts = _counts("rows loaded", "days loaded", "days unchanged")
    for load in report.tables:
        counts.add_row(
            f"{BRONZE}.{load.table}",
            f"{load.added:,}",
            f"{len(load.loaded):,}",
            f"{len(load.unchanged):,}",
        )
    out.print(counts)
    _print_seconds(str(database_path()), len(days), report.seconds)
    out.print(f"Next: [bold]sprint {DOMAIN} build[/]")


@contextmanager
def _days_bar(what: str, days: list[date]) -> Iterator[Callable[[date, int], None]]:
    """A bar over the days, with the rows so far. Yields a callback of a day and its rows."""
    bar = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} days, {task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    task = bar.add_task(what, total=len(days), rows=0)

    def watch(day: date, rows: int) -> None:
        bar.update(task, rows=bar.tasks[task].fields["rows"] + rows)
        bar.advance(task)

    with bar:
        yield watch


def _print_settings(settings: StoreSettings, days: list[date]) -> None:
    out.print(
        f"a store of {settings.customers:,} customers, {settings.products:,} products and"
        f" {settings.orders:,} orders, {settings.start} to {settings.first_days[-1]}, seed"
        f" {settings.seed}",
        highlight=False,
    )
    if days != settings.first_days:
        out.print(f"its days {days[0]} to {days[-1]}", highlight=False)


def _print_files(written: list[Written]) -> None:
    counts = _counts("rows", "size")
    for table in written:
        counts.add_row(table.table, f"{table.rows:,}", bytes_as_text(table.bytes))
    rows, size = sum(t.rows for t in written), sum(t.bytes for t in written)
    counts.add_row("all", f"{rows:,}", bytes_as_text(size))
    out.print(counts)
    where = f"written to {data_dir() / 'raw' / DOMAIN}"
    # a path may look like markup
    out.print(where, highlight=False, soft_wrap=True, markup=False)


def _print_seconds(where: str, days: int, seconds: float) -> None:
    line = f"{days:,} {'day' if days == 1 else 'days'} loaded into {where} in {seconds:.1f} s"
    out.print(line, highlight=False, soft_wrap=True, markup=False)


def _counts(*headings: str) -> Table:
    counts = Table("table")
    for heading in headings:
        counts.add_column(heading, justify="right")
    return counts
