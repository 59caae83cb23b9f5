"""`sprint score`: what landing found, compared with the ledger of a title's faults."""

from __future__ import annotations

import math
from typing import Annotated

import typer
from rich.table import Table

from sprint_platform.cli.options import TitleOption, read_day
from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.title import Title


def score(
    title: TitleOption,
    first: Annotated[
        str | None, typer.Option("--from", help="First delivery day \\[default: all].")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="Last delivery day \\[default: all].")
    ] = None,
) -> None:
    """Hold what was accepted, rejected and deduplicated against the ledger of a title's faults."""
    from sprint_platform.operations.score import score as score_of

    game = Title.load(title)
    if game.faults is None:
        raise Stop(f"title {title} has no faults: there is no ledger to score it against")
    begin = read_day("--from", first) if first else None
    end = read_day("--to", last) if last else None
    if begin and end and end < begin:
        raise Stop(f"--to {end} lies before --from {begin}")
    with working("comparing with the ledger of faults"):
        result = score_of(game, begin, end)
    days = f"{result.days[0]} to {result.days[-1]}" if result.days[1:] else str(result.days[0])
    table = Table(title=f"{title}: faults delivered on {days}")
    for heading in ("fault", "in the ledger", "found", "precision", "recall", "hidden", "why"):
        table.add_column(heading, justify="left" if heading in ("fault", "why") else "right")
    for fault in result.faults:
        shares = (_share(fault.precision), _share(fault.recall))
        found = "-" if fault.unseen else f"{fault.found:,}"
        counts = (f"{fault.recorded:,}", found)
        table.add_row(fault.fault, *counts, *shares, f"{fault.hidden:,}", fault.unseen or "")
    out.print(table)
    if any(fault.hidden for fault in result.faults):
        out.print("Hidden faults lie in files that were refused, as their renamed column wants.")
    if result.unexplained:
        out.print(
            f"[yellow]{result.unexplained:,} records[/] were rejected or dropped as duplicates, but"
            f" the ledger has no such fault of them: {title}_raw.rejected and .duplicates",
            highlight=False,
        )


def _share(share: float | None) -> str:
    # rounded down: 1.000 is all of them
    return "-" if share is None else f"{math.floor(share * 1000) / 1000:.3f}"
