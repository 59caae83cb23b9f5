"""`sprint land`: land files, and build the days that they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from sprint_platform.cli.building import build_unbuilt_days
from sprint_platform.cli.options import TitleOption
from sprint_platform.cli.progress import progress_bars
from sprint_platform.cli.run_report import print_failures
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.core.signals import what_is_left
from sprint_platform.title import Title

if TYPE_CHECKING:
    from sprint_platform.landing.land import LandReport

# The worst files and the first changes; the tables in the warehouse have all of them.
LINES_PRINTED = 50


def land(
    title: TitleOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would change: nothing is landed.")
    ] = False,
) -> None:
    """Land new and changed files of data/landing/<title>/, and build the days that they change."""
    from sprint_platform.core.locks import hold
    from sprint_platform.landing import land as landing
    from sprint_platform.operations.days_to_build import title_lock
    from sprint_platform.orchestration.runs import land_files

    game = Title.load(title)
    if not game.lands:
        raise Stop(f"title {title} is simulated: nothing is landed for it (sprint run makes days)")
    if dry_run:
        with progress_bars(game, []) as watch:
            planned = landing.land(
                game,
                dry_run=True,
                watch=lambda _, rows: watch(f"{title}/landed_files", game.launch_date, rows),
            )
        _print_landing(game, planned, "would be landed")
        return
    left = f"sprint land --title {title} lands and builds the rest"
    with what_is_left(left), hold(title_lock(game), "sprint land"):
        with progress_bars(game, []) as watch:
            run, report = land_files(game, watch)
        if report is not None:
            _print_landing(game, report, "landed")
        print_failures(run)
        if not run.success:
            raise Stop(f"{title} was not landed")
        build_unbuilt_days(game)


def _print_landing(game: Title, report: LandReport, what: str) -> None:
    """Prints the files that were read or refused or whose counts changed, and the partitions that
    change, with reasons."""
    from sprint_platform.landing.files import discover, landing_dir
    from sprint_platform.orchestration.landed_assets import why_of, worst_first

    if not report.files and not report.changes:
        state = "no file is new or changed" if any(discover(game)) else "there are no files"
        out.print(
            f"{game.name}: {state} in {escape(str(landing_dir(game.name)))}",
            highlight=False,
            soft_wrap=True,
        )
        return
    files = Table(title=f"{game.name}: files, {what} in {report.seconds:.1f} s", box=SIMPLE_HEAD)
    files.add_column("file", overflow="fold")
    files.add_column("")
    for heading in ("read", "accepted", "rejected", "waiting", "duplicates"):
        files.add_column(heading, justify="right")
    worst = worst_first(report.files)[:LINES_PRINTED]
    for file in worst:
        counts = (file.rows_read, file.accepted, file.rejected, file.waiting, file.duplicates)
        # a file's name may look like markup
        files.add_row(escape(file.file), file.status, *(f"{n:,}" for n in counts))
    out.print(files)
    for file in worst:
        if why := why_of(file):
            line = f"[yellow]{file.status}[/] {escape(file.file)}: {escape(why)}"
            out.print(line, highlight=False, soft_wrap=True)
    if len(report.files) > LINES_PRINTED:
        out.print(f"and {len(report.files) - LINES_PRINTED:,} more files")
    if not report.changes:
        out.print(f"{game.name}: no partition changes.", highlight=False)
        return
    changes = Table(title=f"{game.name}: partitions that change", box=SIMPLE_HEAD)
    for heading in ("dataset", "day", "rows before", "rows now", "why"):
        changes.add_column(heading, justify="right" if "rows" in heading else "left")
    for change in report.changes[:LINES_PRINTED]:
        before, after = change.rows_before, change.rows_after
        changes.add_row(
            change.dataset,
            str(change.day),
            "-" if before is None else f"{before:,}",
            f"{after:,}",
            escape(change.why),
        )
    out.print(changes)
    if len(report.changes) > LINES_PRINTED:
        out.print(f"and {len(report.changes) - LINES_PRINTED:,} more partitions")
