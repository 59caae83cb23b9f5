"""`sprint`: the command line."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sprint_platform.places import data_dir, database_path, project_root, published_dir, title_dirs
from sprint_platform.title import Title, TitleError, title_names

if TYPE_CHECKING:
    from sprint_platform.orchestration.runs import GraphRun

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A live-service game in a box, and the analytics platform that runs it.",
)
out = Console()
problems = Console(stderr=True)

DATASETS = ("dim_players", "signons", "sessions", "heartbeats", "transactions")
PACKAGES = (
    "dagster", "dagster-dbt", "dagster-duckdb", "dbt-core", "dbt-duckdb", "duckdb", "polars",
    "numpy", "pyarrow", "pydantic",
)  # fmt: skip


class Entrypoint(StrEnum):
    """Where a run starts."""

    players = "players"
    products = "products"
    signons = "signons"
    sessions = "sessions"
    heartbeats = "heartbeats"
    transactions = "transactions"
    all = "all"


TitleOption = Annotated[str, typer.Option("--title", help="Which title (see `sprint titles`).")]
FromOption = Annotated[
    str | None, typer.Option("--from", help="First day, YYYY-MM-DD [default: the launch date].")
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Last day, YYYY-MM-DD [default: six days after --from].")
]


class Stop(Exception):
    """Ends a command with one line and exit code 1."""


def main() -> None:
    """The console script: one clear line, not a stack trace, for what a person can mend."""
    prepare_environment()
    import duckdb
    from filelock import Timeout

    from sprint_platform.telemetry.partitions import PartitionError
    from sprint_platform.warehouse.database import open_elsewhere
    from sprint_platform.warehouse.lease import LeaseError

    try:
        app()
    except (Stop, TitleError, PartitionError, LeaseError, Timeout) as error:
        _end(str(error))
    except duckdb.IOException as error:
        line = open_elsewhere(error)
        if line is None:
            raise
        _end(line)


def _end(line: str) -> NoReturn:
    problems.print(f"[bold red]error:[/] {line}", highlight=False, soft_wrap=True)
    sys.exit(1)


def prepare_environment() -> None:
    """What every command needs: Dagster's home in the project, one thread for small matrices."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(project_root() / ".dagster")))
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        settings.write_bytes((project_root() / "dagster.yaml").read_bytes())


def _days(title: Title, first: str | None, last: str | None) -> list[date]:
    """The days of a range, checked against the launch date."""
    begin = _day("--from", first) if first else title.launch_date
    end = _day("--to", last) if last else begin + timedelta(days=6)
    if end < begin:
        raise Stop(f"--to {end} lies before --from {begin}")
    if begin < title.launch_date:
        raise Stop(f"title {title.name} launches on {title.launch_date}: there is no {begin}")
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]


def _day(option: str, told: str) -> date:
    try:
        return date.fromisoformat(told)
    except ValueError as error:
        raise Stop(f"{option} is a day such as 2025-01-31, not '{told}'") from error


@app.command()
def run(
    title: TitleOption = "sprint",
    first: FromOption = None,
    last: ToOption = None,
    entrypoint: Annotated[
        Entrypoint, typer.Option(help="The stage to start at; all that is downstream runs too.")
    ] = Entrypoint.all,
    reuse: Annotated[
        bool | None,
        typer.Option(
            "--reuse/--regenerate",
            help="Keep partitions that exist, or make them anew. Asked for when a person is there.",
        ),
    ] = None,
) -> None:
    """Simulate days, load them, and build and test every model below."""
    game = Title.load(title)
    days = _days(game, first, last)
    today = datetime.now(UTC).date()
    if days[-1] > today:
        raise Stop(f"{days[-1]} is in the future: the last day that can be made is {today} (UTC)")
    if reuse is None:
        reuse = _ask_about_existing(game, days, entrypoint)
    _run_and_tell(game, days, entrypoint, reuse)


def _ask_about_existing(game: Title, days: list[date], entrypoint: Entrypoint) -> bool:
    existing = _existing(game, days, entrypoint)
    if not existing:
        return False
    told = f"{existing} partitions of {game.name} exist already for these days"
    if not sys.stdin.isatty():
        raise Stop(f"{told}: say --reuse to keep them, or --regenerate to make them anew")
    return not typer.confirm(f"{told}. Make them anew? (no keeps them)", default=False)


def _existing(game: Title, days: list[date], entrypoint: Entrypoint) -> int:
    """How many partitions that the run would make are there already."""
    from sprint_platform.orchestration.runs import ENTRYPOINTS
    from sprint_platform.orchestration.upstream import with_downstream
    from sprint_platform.telemetry.partitions import read_manifest

    if entrypoint is Entrypoint.all:
        below = list(DATASETS)
    elif entrypoint is Entrypoint.products:
        below = ["transactions"]
    else:
        below = with_downstream(ENTRYPOINTS[entrypoint.value])
    return sum(
        read_manifest(game.name, dataset, day) is not None for dataset in below for day in days
    )


def _run_and_tell(game: Title, days: list[date], entrypoint: Entrypoint, reuse: bool) -> GraphRun:
    from sprint_platform.orchestration.dbt_manifest import ManifestError
    from sprint_platform.orchestration.runs import run_graph

    span = f"{days[0]} to {days[-1]}" if len(days) > 1 else str(days[0])
    out.print(f"[bold]{game.name}[/], {span}: {entrypoint.value}", highlight=False)
    try:
        with _progress(game, days) as watch:
            report = run_graph(
                game, days[0], days[-1], entrypoint=entrypoint.value, reuse=reuse, watch=watch
            )
    except ManifestError as error:
        raise Stop(str(error)) from error
    if not report.success:
        for line in report.failures:
            problems.print(f"[red]failed[/] {line}", highlight=False, soft_wrap=True)
        for check in report.failed_checks:
            problems.print(f"[red]check failed[/] {check}", highlight=False, soft_wrap=True)
        raise Stop(
            f"the run {report.run_id} failed after {report.seconds:.1f} s; its log is in the UI:"
            " sprint ui"
        )
    out.print(_built(game, days, report))
    for check in report.failed_checks:
        problems.print(f"[yellow]check failed[/] {check}", highlight=False)
    return report


@contextmanager
def _progress(game: Title, days: list[date]) -> Iterator[Callable[[str, date, int], None]]:
    """A bar per dataset, with rows/s and the time that is left, and one for dbt."""
    from sprint_platform.simulation.estimates import estimate

    expected = {}
    if game.source == "simulated":
        expected = {e.dataset: max(1, e.rows) for e in estimate(game, days)}
    bars = Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        TextColumn("{task.completed:>12,.0f} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=out,
        transient=True,
    )
    tasks: dict[str, tuple[TaskID, float]] = {}

    def watch(asset: str, day: date, rows: int) -> None:
        if asset not in tasks:
            for task, _ in tasks.values():
                bars.update(task, total=bars.tasks[task].completed or 1)
            total = expected.get(asset.split("/")[-1])
            unit = "rows" if total else "steps"
            tasks[asset] = (
                bars.add_task(asset, total=total, unit=unit, rate=""),
                time.perf_counter(),
            )
        task, began = tasks[asset]
        bars.advance(task, rows)
        passed = max(time.perf_counter() - began, 1e-3)
        bars.update(task, rate=f"{bars.tasks[task].completed / passed:>11,.0f}/s")

    with bars:
        yield watch


def _built(game: Title, days: list[date], report: GraphRun) -> Table:
    """What is in the warehouse now for these days: rows per table, and the seconds of its step."""
    from sprint_platform.telemetry.contracts import DATASETS as CONTRACTS
    from sprint_platform.warehouse.database import connect
    from sprint_platform.warehouse.lease import lease

    asset_of: dict[tuple[str, str], str] = {
        (contract.schema, contract.table): name for name, contract in CONTRACTS.items()
    }
    # the catalogue's table is made by the dbt seed of that name
    del asset_of["dim", "dim_products"]
    table = Table(title=f"{game.name}: built in {report.seconds:.1f} s")
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("seconds", justify="right")
    with lease("sprint run's summary"), connect() as con:
        found = con.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in (?, ?, ?, ?) order by all",
            [f"{game.name}_{part}" for part in ("dim", "raw", "stage", "mart")],
        ).fetchall()
        for part in ("dim", "raw", "stage", "mart"):
            for schema, name in found:
                if schema == f"{game.name}_{part}" and name != "loaded_partitions":
                    rows = con.execute(f"select count(*) from {schema}.{name}").fetchone()
                    took = report.seconds_of.get(f"{game.name}/{asset_of.get((part, name), name)}")
                    table.add_row(
                        f"{schema}.{name}",
                        f"{rows[0]:,}" if rows else "",
                        f"{took:.2f}" if took is not None else "",
                    )
    return table


@app.command()
def demo() -> None:
    """Seven days of sprint from its launch: every dataset, model and test, and three answers."""
    game = Title.load("sprint")
    days = _days(game, None, None)
    _run_and_tell(game, days, Entrypoint.all, reuse=False)
    _answers(game)
    out.print("\nThe Dagster UI, with this run and its lineage:  [bold]make ui[/]")
    for what, where in (
        ("The warehouse (DuckDB):                         ", database_path()),
        ("For notebooks and BI tools:                     ", published_dir()),
    ):
        out.print(f"{what}[bold]{where}[/]", highlight=False, soft_wrap=True)


ANSWERS = (
    (
        "Where is the game played most?",
        "select country, round(sum(total_play_time_seconds) / 3600) as hours_played"
        " from {title}_mart.country_monthly_playtime group by country order by 2 desc limit 3",
    ),
    (
        "How often do teams meet?",
        "select calendar_day as day, count(*) as sessions,"
        " round(avg(close_encounter_count), 2) as encounters_per_session"
        " from {title}_mart.session_close_encounters_daily group by 1 order by 1 limit 3",
    ),
    (
        "How many days in a row do players play?",
        "select max_consecutive_days_played as longest_streak_in_days, count(*) as players"
        " from {title}_mart.player_consecutive_days_monthly group by 1 order by 1 desc limit 3",
    ),
)


def _answers(game: Title) -> None:
    """Three answers, read from what is published: as a notebook would, without the lease."""
    import duckdb

    with duckdb.connect(str(published_dir() / "sprint.duckdb"), read_only=True) as con:
        for question, query in ANSWERS:
            result = con.execute(query.format(title=game.name))
            answer = Table(title=question, title_justify="left", title_style="bold")
            for column in result.description:
                answer.add_column(column[0].replace("_", " "), justify="right")
            for row in result.fetchall():
                answer.add_row(*(f"{v:,g}" if isinstance(v, float) else str(v) for v in row))
            out.print()
            out.print(answer)


@app.command()
def plan(title: TitleOption = "sprint", first: FromOption = None, last: ToOption = None) -> None:
    """Say how many rows, bytes and seconds a run will take, before anything runs."""
    from sprint_platform.simulation.estimates import estimate
    from sprint_platform.telemetry.partitions import read_manifest

    game = Title.load(title)
    days = _days(game, first, last)
    if game.source != "simulated":
        raise Stop(f"title {title} is landed from files: its size is that of the files")
    table = Table(title=f"{title}, {len(days)} days from {days[0]}: about")
    for heading in ("dataset", "rows", "files", "database", "seconds", "days made already"):
        table.add_column(heading, justify="left" if heading == "dataset" else "right")
    estimates = estimate(game, days)
    for e in estimates:
        made = sum(read_manifest(title, e.dataset, day) is not None for day in days)
        table.add_row(
            e.dataset,
            f"{e.rows:,}",
            _bytes(e.file_bytes),
            _bytes(e.database_bytes),
            f"{e.seconds:.1f}",
            f"{made} of {len(days)}",
        )
    table.add_section()
    table.add_row(
        "all",
        f"{sum(e.rows for e in estimates):,}",
        _bytes(sum(e.file_bytes for e in estimates)),
        _bytes(sum(e.database_bytes for e in estimates)),
        f"{sum(e.seconds for e in estimates):.1f}",
        "",
    )
    out.print(table)
    out.print(
        "Dagster and dbt come on top: about 10 s a run, 0.4 s a day, and 1 s a million heartbeats."
    )


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@app.command()
def verify(
    title: TitleOption = "sprint",
    first: FromOption = None,
    last: ToOption = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also run every dbt test over everything, not a window.")
    ] = False,
) -> None:
    """Simulate again and compare digests: files, and what the warehouse has loaded."""
    from sprint_platform.orchestration.verification import verify_days, verify_models
    from sprint_platform.telemetry.partitions import partition_days

    game = Title.load(title)
    if game.source != "simulated":
        raise Stop(f"title {title} is landed from files: there is nothing to simulate again")
    made = {day for dataset in DATASETS for day in partition_days(title, dataset)}
    days = sorted(made & set(_days(game, first, last)) if first or last else made)
    if not days:
        raise Stop(f"there are no partitions of {title} for these days: sprint run --title {title}")
    wrong: list[date] = []
    with Progress(console=out, transient=True) as bars:
        task = bars.add_task("verifying", total=len(days))
        for day, lines in verify_days(game, days):
            wrong += [day] * len(lines)
            bars.advance(task)
            for line in lines:
                problems.print(f"[red]differs[/] {line}", highlight=False, soft_wrap=True)
    if wrong:
        raise Stop(
            f"{len(wrong)} partitions differ; this mends them: sprint run --title {title}"
            f" --from {wrong[0]} --to {wrong[-1]} --regenerate"
        )
    out.print(
        f"{title}: {len(days)} days are what their seed says, in files and in what was loaded."
    )
    if deep:
        failed = verify_models(game)
        if failed:
            raise Stop(failed)
        out.print(f"{title}: every dbt test holds over everything.")


@app.command()
def titles() -> None:
    """List the titles, their launch and where their data comes from."""
    table = Table()
    for heading in ("title", "launch", "source", "growth", "encounters", "file"):
        table.add_column(heading)
    wrong = []
    for name in title_names():
        try:
            game = Title.load(name)
        except TitleError as error:
            wrong.append(str(error))
            continue
        growth = "-"
        if game.simulation is not None:
            told = game.simulation.growth
            growth = (
                f"{told.players:,} players in {told.days} days"
                if told.kind == "target"
                else f"{told.starting_players:,} players,"
                f" {told.daily_growth - told.daily_decay:+.2%} a day"
            )
        near = game.encounters
        table.add_row(
            name,
            str(game.launch_date),
            game.source,
            growth,
            f"{near.word}s: {near.distance:g} units, {near.gap_seconds} s",
            str(_title_file(name)),
        )
    out.print(table)
    for line in wrong:
        problems.print(f"[yellow]left out[/] {line}", highlight=False, soft_wrap=True)


def _title_file(name: str) -> Path:
    found = [
        path for folder in title_dirs() for path in folder.glob("*.y*ml") if path.stem == name
    ][-1]
    root = project_root()
    return found.relative_to(root) if found.is_relative_to(root) else found


@app.command()
def doctor() -> None:
    """Show versions, the data folder and who holds the warehouse."""
    from sprint_platform.warehouse.lease import describe_holder

    table = Table(show_header=False)
    table.add_row("python", f"{platform.python_version()} on {platform.system()}")
    for name in PACKAGES:
        table.add_row(name, importlib.metadata.version(name))
    table.add_section()
    folder = data_dir()
    table.add_row("data folder", f"{folder}{'' if folder.is_dir() else ' (not made yet)'}")
    if folder.is_dir():
        free = os.statvfs(folder)
        table.add_row("free there", _bytes(free.f_bavail * free.f_frsize))
    database = database_path()
    size = f"{database} ({_bytes(database.stat().st_size)})" if database.exists() else "none yet"
    table.add_row("warehouse", size)
    table.add_row("lease", describe_holder() or "free")
    table.add_row("Dagster's home", os.environ["DAGSTER_HOME"])
    wrong = []
    for name in title_names():
        try:
            Title.load(name)
        except TitleError as error:
            wrong.append(str(error))
    table.add_row("titles", ", ".join(title_names()))
    out.print(table)
    if wrong:
        raise Stop("; ".join(wrong))


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="The port, on loopback.")] = 3000,
) -> None:
    """Open the Dagster UI on loopback; history is kept in DAGSTER_HOME."""
    out.print(f"Dagster's UI: [bold]http://127.0.0.1:{port}[/]  (Ctrl-C ends it)")
    command = [
        str(Path(sys.executable).parent / "dagster"), "dev", "-m", "sprint_platform.definitions",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    # dagster's commands are looked up by name in its child processes
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        code = subprocess.call(command, cwd=project_root(), env={**os.environ, "PATH": path})
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
