"""Progress: bars on a terminal, and a line now and then into a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sprint_platform.cli.terminal import out
from sprint_platform.title import Title

SECONDS_BEFORE_LINE, SECONDS_BETWEEN_LINES = 5.0, 10.0


class Bars(Progress):
    """Progress bars that go when they are done. Where the output is no terminal, a line says every
    ten seconds how far the task is that moved last."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, console=out, transient=True, disable=not out.is_terminal)
        self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        if self.disable and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            task = self._tasks[task_id]
            # a run's rows are estimated
            about = "about " if "unit" in task.fields else ""
            # with players come those of earlier days, which nobody counted
            known = task.total and task.completed <= task.total
            total = f" of {about}{task.total:,.0f}" if known else ""
            line = f"{task.description.strip()}: {task.completed:,.0f}{total}"
            out.print(line, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner with the time that passed, around what says nothing until it is done; where the
    output is no terminal a line, if it takes longer than a few seconds."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Bars(*columns) as bars, _line_later(what):
        bars.add_task(what, total=None)
        yield


@contextmanager
def _line_later(what: str) -> Iterator[Callable[[], None]]:
    """Where the output is no terminal: prints a line if the block takes longer than a few seconds.
    Yields a function that calls it off."""
    line = partial(out.print, f"{what} ...", highlight=False, soft_wrap=True, markup=False)
    timer = threading.Timer(SECONDS_BEFORE_LINE, line)
    timer.daemon = True
    if not out.is_terminal:
        timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


@contextmanager
def progress_bars(game: Title, days: list[date]) -> Iterator[Callable[[str, date, int], None]]:
    """A bar per dataset, with rows/s and the time that is left, and one for dbt. Yields a callback
    of an asset, a day and a number of rows."""
    from sprint_platform.simulation.estimates import estimate

    expected = {}
    if not game.lands:
        expected = {e.dataset: max(1, e.rows) for e in estimate(game, days)}
    bars = Bars(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        TextColumn("{task.completed:>12,.0f} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, tuple[TaskID, float]] = {}
    reading = "reading the graph and its models"
    begins = bars.add_task(reading, total=None, unit="", rate="")

    def watch(asset: str, day: date, rows: int) -> None:
        if not tasks:
            bars.update(begins, visible=False)
            call_off()
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

    with bars, _line_later(reading) as call_off:
        yield watch
