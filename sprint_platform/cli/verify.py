"""`sprint verify`: whether days are as their seed, or their landed files, say."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer
from rich.markup import escape

from sprint_platform.cli.options import TitleOption, read_days
from sprint_platform.cli.progress import Bars, working
from sprint_platform.cli.terminal import Stop, out, problems
from sprint_platform.telemetry.contracts import DAILY
from sprint_platform.title import Title


def verify(
    title: TitleOption = "sprint",
    first: Annotated[
        str | None,
        typer.Option("--from", help="First day, YYYY-MM-DD; without days, all that were made."),
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, YYYY-MM-DD.")] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also run every dbt test over everything, not a window.")
    ] = False,
) -> None:
    """Simulate again and compare: files, the tables' rows, and what is built and published. Where a
    table holds other rows than the ledger says, the ledger is corrected, and the next load replaces
    them.

    Of a landed title nothing is simulated: its files are held against their manifests, and these
    against what is loaded, built and published.
    """
    from sprint_platform.orchestration.verification import (
        verify_built,
        verify_days,
        verify_models,
    )
    from sprint_platform.storage.migration import require_migrated
    from sprint_platform.storage.partitions import partition_days

    game = Title.load(title)
    require_migrated(title)
    made = {day for dataset in DAILY for day in partition_days(title, dataset)}
    days = sorted(made & set(read_days(game, first, last)) if first or last else made)
    mend = f"sprint land --title {title}" if game.lands else f"sprint run --title {title}"
    if not days:
        raise Stop(f"there are no partitions of {title} for these days: {mend}")
    wrong: list[date] = []
    with Bars(*Bars.get_default_columns()) as bars:
        task = bars.add_task("verifying", total=len(days))
        for day, lines in verify_days(game, days):
            wrong += [day] * len(lines)
            bars.advance(task)
            for line in lines:
                problems.print(f"[red]differs[/] {escape(line)}", highlight=False, soft_wrap=True)
    if wrong:
        if not game.lands:
            mend += f" --from {wrong[0]} --to {wrong[-1]} --regenerate"
        raise Stop(f"{len(wrong)} partitions differ; this mends them: {mend}")
    with working("comparing what is built and published"):
        findings = verify_built(game, days)
    for finding in findings:
        problems.print(
            f"[red]differs[/] {escape(finding.line)}: {finding.mend}",
            highlight=False,
            soft_wrap=True,
        )
    if findings:
        mends = ", then ".join(dict.fromkeys(finding.mend for finding in findings))
        raise Stop(f"{title} is not built and published as it should be; this mends it: {mends}")
    what = "what was landed" if game.lands else "what their seed says"
    out.print(
        f"{title}: {len(days)} days are {what}, in files and in what was loaded, built and"
        " published."
    )
    if deep:
        with working("running every dbt test"):
            failed = verify_models(game)
        if failed:
            raise Stop(failed)
        out.print(f"{title}: every dbt test holds over everything that is not pruned.")
