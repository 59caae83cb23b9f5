"""`sprint prune`: delete old records of which everything is built."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.filesize import decimal as bytes_as_text

from sprint_platform.cli.options import TitleOption, read_day
from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import out
from sprint_platform.title import Title


def prune(
    title: TitleOption,
    before: Annotated[
        str, typer.Option("--before", help="The first day that stays whole, YYYY-MM-DD.")
    ],
) -> None:
    """Delete the records of old days that no table is built of any more: heartbeats, files and
    rows. The marts stay, and so does every dataset that a later day looks back on.

    A pruned day is neither missing nor stale. Making it again (sprint run), or landing a late
    record of it, makes it whole again.
    """
    from sprint_platform.core.locks import hold
    from sprint_platform.engines.spark_session import require_duckdb
    from sprint_platform.operations.days_to_build import title_lock
    from sprint_platform.orchestration import pruning

    require_duckdb("sprint prune")
    game, day = Title.load(title), read_day("--before", before)
    with hold(title_lock(game), "sprint prune"), working("pruning"):
        pruned, found = pruning.prune(game, day)
    for of in pruned:
        line = f"{title}/{of.dataset}: no day before {day} is left to be pruned"
        if of.days:
            span = f"{of.days[0]} to {of.days[-1]}" if of.days[1:] else str(of.days[0])
            line = f"{title}/{of.dataset}: pruned {len(of.days)} days, {span}: {of.rows:,} rows"
        if of.bytes:
            line += f", {bytes_as_text(of.bytes)} of files"
        out.print(line, highlight=False, soft_wrap=True)
    for dataset, why in found.stays.items():
        out.print(f"{title}/{dataset} stays: {why}", highlight=False, soft_wrap=True)
    if any(of.days for of in pruned):
        out.print("sprint compact gives the room in the database back.", highlight=False)
