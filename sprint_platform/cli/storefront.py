"""`sprint storefront`: the studio's web store, generated day by day, loaded, and modelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from sprint_platform.cli.run_report import tell_build
from sprint_platform.cli.sizes import bytes_as_text
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.storefront.contracts import BRONZE, DOMAIN
from sprint_platform.storefront.settings import StoreSettings

if TYPE_CHECKING:
    from sprint_platform.storefront.files import Written
    from sprint_platform.storefront.generation.store import Store

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
ToOption = Annotated[
    Warehouse, typer.Option("--to", help="Which warehouse; postgres is SPRINT_POSTGRES_URL.")
]
ReplaceOption = Annotated[
    bool,
    typer.Option(
        "--replace", help="Where the warehouse holds a store of other settings: drop that first."
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
    title: TitleOption = None,
    batch_size: BatchOption = None,
    load: Annotated[bool, typer.Option("--load", help="Load the days that were written.")] = False,
    to: ToOption = Warehouse.duckdb,
    replace: ReplaceOption = False,
) -> None:
    """Write the store's days to data/raw/storefront, and load them with --load."""
    from sprint_platform.storefront.files import remove_others, write_days
    from sprint_platform.storefront.generation.store import Store

    if not load and (replace or to is not Warehouse.duckdb):
        raise Stop("--to and --replace say how days are loaded: add --load")
    store = Store(_settings(preset, customers, products, orders, days, seed, title, batch_size))
    settings = store.settings
    if load and not replace:
        # before an hour of work, and before another store's files are written over
        _refuse_others(store, to)
    _tell_settings(settings)
    if removed := remove_others(store.source):
        out.print(f"removed {removed:,} partitions of a store with other settings", highlight=False)
    with _days_bar("writing", settings.first_days) as watch:
        written = write_days(store, settings.first_days, watch)
    _tell_files(written)
    if load:
        _load(store, to, replace)


@app.command("load")
def load_files(
    preset: PresetOption = None,
    customers: CustomersOption = None,
    products: ProductsOption = None,
    orders: OrdersOption = None,
    days: DaysOption = None,
    seed: SeedOption = None,
    title: TitleOption = None,
    batch_size: BatchOption = None,
    to: ToOption = Warehouse.duckdb,
    replace: ReplaceOption = False,
) -> None:
    """Load the days that `generate` wrote with these settings. Done twice, it adds nothing."""
    from sprint_platform.storefront.generation.store import Store

    settings = _settings(preset, customers, products, orders, days, seed, title, batch_size)
    _load(Store(settings), to, replace)


@app.command()
def build() -> None:
    """Build and test the models of all days that are in DuckDB, with dbt."""
    from sprint_platform.core.locks import hold
    from sprint_platform.orchestration.domain_build import build_models
    from sprint_platform.orchestration.storefront_dbt import (
        SCHEMAS,
        require_any,
        storefront_environment,
    )
    from sprint_platform.orchestration.storefront_models import StorefrontTranslator
    from sprint_platform.warehouse.database import connect, warehouse_lock

    with hold(warehouse_lock(), f"sprint {DOMAIN} build"), connect() as con:
        require_any(con)
        told = storefront_environment(con, None)
    tell_build(build_models(StorefrontTranslator(), told, SCHEMAS))


def _settings(
    preset: Preset | None,
    customers: int | None,
    products: int | None,
    orders: int | None,
    days: int | None,
    seed: int | None,
    title: str | None,
    batch_size: int | None,
) -> StoreSettings:
    given = {
        "customers": customers,
        "products": products,
        "orders": orders,
        "days": days,
        "seed": seed,
        "title": title,
        "batch_size": batch_size,
    }
    return StoreSettings.read(given, preset.value if preset else None)


def _postgres_url() -> str:
    from sprint_platform.storefront.postgres_url import read_url

    return read_url()


def _refuse_others(store: Store, to: Warehouse) -> None:
    if to is Warehouse.postgres:
        from sprint_platform.storefront import postgres

        postgres.refuse_others(_postgres_url(), store.source)
        return
    from sprint_platform.core.locks import hold
    from sprint_platform.storefront.duckdb_target import refuse_others
    from sprint_platform.warehouse.database import connect, warehouse_lock

    with hold(warehouse_lock(), f"sprint {DOMAIN} generate"), connect() as con:
        refuse_others(con, store)


def _load(store: Store, to: Warehouse, replace: bool) -> None:
    settings, days = store.settings, store.settings.first_days
    if to is Warehouse.postgres:
        from sprint_platform.storefront.postgres import load_days as load_into_postgres

        with _days_bar("loading", days) as watch:
            loaded = load_into_postgres(
                _postgres_url(), days, store.source, settings.batch_size, replace, watch
            )
        told = _counts("added", "there already")
        for table in loaded.tables:
            told.add_row(f"{BRONZE}.{table.table}", f"{table.added:,}", f"{table.there_already:,}")
        out.print(told)
        _tell_seconds(loaded.described, loaded.days, loaded.seconds)
        return
    from sprint_platform.core.locks import hold
    from sprint_platform.places import database_path
    from sprint_platform.storefront.contracts import BRONZE_TABLES
    from sprint_platform.storefront.duckdb_target import load_days
    from sprint_platform.warehouse.database import connect, warehouse_lock

    with hold(warehouse_lock(), f"sprint {DOMAIN} load"), connect() as con:
        report = load_days(con, list(BRONZE_TABLES), days, store, replace)
    told = _counts("rows loaded", "days loaded", "days unchanged")
    for load in report.tables:
        told.add_row(
            f"{BRONZE}.{load.table}",
            f"{load.rows:,}",
            f"{load.days_loaded:,}",
            f"{load.days_unchanged:,}",
        )
    out.print(told)
    _tell_seconds(str(database_path()), len(days), report.seconds)
    out.print(f"Next: [bold]sprint {DOMAIN} build[/]")


@contextmanager
def _days_bar(what: str, days: list[date]) -> Iterator[Callable[[date, int], None]]:
    """A bar over the days, with the rows so far."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} days, {task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=out,
        transient=True,
    )
    task = bar.add_task(what, total=len(days), rows=0)

    def watch(day: date, rows: int) -> None:
        bar.update(task, advance=1, rows=bar.tasks[task].fields["rows"] + rows)

    with bar:
        yield watch


def _tell_settings(settings: StoreSettings) -> None:
    last = settings.first_days[-1]
    out.print(
        f"a store of {settings.customers:,} customers, {settings.products:,} products and"
        f" {settings.orders:,} orders, {settings.start} to {last}, seed {settings.seed}",
        highlight=False,
    )


def _tell_files(written: list[Written]) -> None:
    from sprint_platform.places import data_dir

    told = _counts("rows", "size")
    for table in written:
        told.add_row(table.table, f"{table.rows:,}", bytes_as_text(table.bytes))
    rows, size = sum(t.rows for t in written), sum(t.bytes for t in written)
    told.add_row("all", f"{rows:,}", bytes_as_text(size))
    out.print(told)
    where = f"written to {data_dir() / 'raw' / DOMAIN}"
    # a path may hold what rich takes for markup
    out.print(where, highlight=False, soft_wrap=True, markup=False)


def _tell_seconds(where: str, days: int, seconds: float) -> None:
    line = f"{days:,} days loaded into {where} in {seconds:.1f} s"
    out.print(line, highlight=False, soft_wrap=True, markup=False)


def _counts(*headings: str) -> Table:
    told = Table("table")
    for heading in headings:
        told.add_column(heading, justify="right")
    return told
