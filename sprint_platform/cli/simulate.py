"""`sprint simulate`: write the partition files of days, many at once."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from sprint_platform.cli.options import FromOption, TitleOption, ToOption, read_days
from sprint_platform.cli.progress import working
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.title import Title


class Where(StrEnum):
    """Where the days are made."""

    processes = "processes"
    spark = "spark"


def simulate(
    title: TitleOption = "sprint",
    first: FromOption = None,
    last: ToOption = None,
    where: Annotated[
        Where, typer.Option("--on", help="Processes of this machine, or workers of Spark.")
    ] = Where.processes,
    reuse: Annotated[
        bool,
        typer.Option(
            "--reuse/--regenerate", help="Leave partitions of the same title as they are."
        ),
    ] = True,
) -> None:
    """Write the partition files of days, each dataset's day a task of its own; nothing is loaded.

    The players of all days since the launch come with them. `sprint run --reuse` of the same days
    loads the files and builds the models.
    """
    from sprint_platform.operations.fan_out import (
        simulate_in_processes,
        simulate_on_spark,
        tasks_of,
    )
    from sprint_platform.storage.migration import require_migrated

    game = Title.load(title)
    require_migrated(title)
    if game.source != "simulated":
        raise Stop(f"title {title} is landed from files: there is nothing to simulate")
    days = read_days(game, first, last)
    tasks = tasks_of(game, days)
    began = time.perf_counter()
    asked = {(dataset, day) for dataset, day in tasks if reuse or day < days[0]}
    with working(f"simulating {len(days)} days"):
        make = simulate_on_spark if where is Where.spark else simulate_in_processes
        done = list(make(game, tasks, asked))
    made = [each for each in done if each.seconds is not None]
    out.print(
        f"{title}: {len(made)} partitions made, {len(done) - len(made)} were there;"
        f" {sum(each.rows for each in made):,} rows in {time.perf_counter() - began:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
