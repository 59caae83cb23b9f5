"""`sprint run`: simulate days, load them, build and test the models."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated

import typer

from sprint_platform.cli.building import build_missing_days, build_stale_days, build_unbuilt_days
from sprint_platform.cli.options import FromOption, TitleOption, ToOption, read_days
from sprint_platform.cli.progress import progress_bars
from sprint_platform.cli.run_report import built_table, print_failures
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.core.signals import what_is_left
from sprint_platform.publish.coverage import yesterday
from sprint_platform.telemetry.contracts import DAILY, DATASETS, ENTRYPOINTS
from sprint_platform.title import Title


class Entrypoint(StrEnum):
    """Where a run starts: at one dataset, or at all of them."""

    vars().update({name: name for name in ENTRYPOINTS})
    all = "all"


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
    missing: Annotated[
        bool,
        typer.Option(
            "--missing",
            help="Only run the days that are not built yet, from the launch to yesterday or between"
            " --from and --to, as the daily schedule does; partitions that exist stay.",
        ),
    ] = False,
    stale: Annotated[
        bool,
        typer.Option(
            "--stale",
            help="Only the days that another version of the title made (another growth, another"
            " seed), and the models of days that were built by another definition than today's"
            " (another encounter distance, another model).",
        ),
    ] = False,
) -> None:
    """Simulate days, load them, and build and test every model below.

    Of a landed title the days are built from what was landed; a title with faults delivers its days
    as files and lands them.
    """
    from sprint_platform.core.locks import hold
    from sprint_platform.operations.days_to_build import title_lock
    from sprint_platform.storage.migration import require_migrated

    game = Title.load(title)
    require_migrated(title)
    if missing and stale:
        raise Stop("--missing builds other days than --stale: run the one, then the other")
    if (missing or stale) and (reuse is not None or entrypoint is not Entrypoint.all):
        option = "--missing" if missing else "--stale"
        raise Stop(f"{option} says what is made: leave --reuse, --regenerate and --entrypoint out")
    if missing:
        days = _not_in_the_future(read_days(game, first, last, yesterday()))
        with hold(title_lock(game), "sprint run --missing"):
            build_missing_days(game, days)
        return
    if stale:
        asked = read_days(game, first, last, yesterday()) if first or last else None
        with hold(title_lock(game), "sprint run --stale"):
            build_stale_days(game, asked)
        return
    days = _not_in_the_future(read_days(game, first, last))
    if game.lands:
        with hold(title_lock(game), "sprint run"):
            run_days(game, days, entrypoint, reuse=False)
            if game.faults is not None and entrypoint is Entrypoint.all:
                # later days delivered late records of these
                build_unbuilt_days(game)
        return
    if reuse is None:
        reuse = _ask_about_existing(game, days, entrypoint)
    run_days(game, days, entrypoint, reuse)


def _not_in_the_future(days: list[date]) -> list[date]:
    today = datetime.now(UTC).date()
    if days[-1] > today:
        raise Stop(f"{days[-1]} is in the future: the last day that can be made is {today} (UTC)")
    return days


def _ask_about_existing(game: Title, days: list[date], entrypoint: Entrypoint) -> bool:
    existing, outdated = _existing(game, days, entrypoint)
    if outdated:
        out.print(
            f"{outdated} partitions of these days are of another version of {game.name}, and are"
            " made anew",
            highlight=False,
        )
    if not existing:
        return False
    found = f"{existing} partitions of {game.name} exist already for these days"
    if not sys.stdin.isatty():
        raise Stop(f"{found}: say --reuse to keep them, or --regenerate to make them anew")
    return not typer.confirm(f"{found}. Make them anew? (no keeps them)", default=False)


def _existing(game: Title, days: list[date], entrypoint: Entrypoint) -> tuple[int, int]:
    """How many partitions of the run exist already, as the title makes them now; and how many that
    another version of it made."""
    from sprint_platform.operations.upstream import with_downstream
    from sprint_platform.storage.partitions import read_manifest

    below = list(DAILY)
    if entrypoint is not Entrypoint.all:
        made = with_downstream(ENTRYPOINTS[entrypoint.value])
        below = [dataset for dataset in DAILY if dataset in made]
    found = [read_manifest(game.name, dataset, day) for dataset in below for day in days]
    current = [
        manifest.source.startswith(game.fingerprint) for manifest in found if manifest is not None
    ]
    return sum(current), len(current) - sum(current)


def run_days(game: Title, days: list[date], entrypoint: Entrypoint, reuse: bool) -> None:
    """Runs the days in one run and prints what was built. Raises Stop where the run failed."""
    from sprint_platform.orchestration.runs import run_graph

    span = f"{days[0]} to {days[-1]}" if len(days) > 1 else str(days[0])
    out.print(f"[bold]{game.name}[/], {span}: {entrypoint.value}", highlight=False)
    left = "the same command builds the days; with --reuse it keeps the partitions that were made"
    if game.lands:
        left = f"sprint land --title {game.name} builds the days that are behind"
    with what_is_left(left), progress_bars(game, days) as watch:
        report = run_graph(
            game, days[0], days[-1], entrypoint=entrypoint.value, reuse=reuse, watch=watch
        )
    print_failures(report)
    if not report.success:
        raise Stop(
            f"the run {report.run_id} failed after {report.seconds:.1f} s; its log is in the UI:"
            " sprint ui"
        )
    out.print(built_table(game.name, DATASETS.values(), report.seconds, report.seconds_of))
