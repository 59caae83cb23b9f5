"""Progress bars of a run under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sprint_platform.cli.terminal import out
from sprint_platform.title import Title


@contextmanager
def progress_bars(game: Title, days: list[date]) -> Iterator[Callable[[str, date, int], None]]:
    """A bar per dataset, with rows/s and the time that is left, and one for dbt. Yields a callback
    of an asset, a day and a number of rows."""
    from sprint_platform.simulation.estimates import estimate

    expected = {}
    if not game.lands:
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
