"""`sprint titles`: the titles that there are."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from sprint_platform.cli.terminal import out, problems
from sprint_platform.core.project import project_root
from sprint_platform.title import (
    CompoundGrowth,
    SteadyGrowth,
    TargetGrowth,
    title_file,
    valid_titles,
)


def titles() -> None:
    """List the titles, their launch and where their data comes from."""
    table = Table()
    for heading in ("title", "launch", "source", "growth", "encounters", "file"):
        table.add_column(heading)
    games, wrong = valid_titles()
    for game in games:
        growth = "-" if game.simulation is None else _growth(game.simulation.growth)
        near = game.encounters
        table.add_row(
            game.name,
            str(game.launch_date),
            f"{game.source}, with faults" if game.faults is not None else game.source,
            growth,
            f"{near.word}s: {near.distance:g} units, {near.gap_seconds} s",
            escape(str(_title_file(game.name))),
        )
    out.print(table)
    for line in wrong:
        problems.print(f"[yellow]left out[/] {escape(line)}", highlight=False, soft_wrap=True)


def _growth(plan: CompoundGrowth | TargetGrowth | SteadyGrowth) -> str:
    if plan.kind == "target":
        return f"{plan.players:,} players in {plan.days} days"
    if plan.kind == "steady":
        return f"{plan.active_players:,} players on each day"
    return f"{plan.starting_players:,} players, {plan.daily_growth - plan.daily_decay:+.2%} a day"


def _title_file(name: str) -> Path:
    found = title_file(name)
    root = project_root()
    return found.relative_to(root) if found.is_relative_to(root) else found
