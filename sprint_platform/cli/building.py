"""Building the days that are behind what was landed, one command at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sprint_platform.cli.progress import progress_bars
from sprint_platform.cli.run_report import built_table, tell_failures
from sprint_platform.cli.terminal import Stop, out
from sprint_platform.title import Title


@contextmanager
def alone(game: Title) -> Iterator[None]:
    """Two commands that land and build one title would do the work twice."""
    from filelock import Timeout

    from sprint_platform.orchestration.landed_days import building

    try:
        with building(game):
            yield
    except Timeout as error:
        if not str(error.lock_file).endswith(".building.lock"):
            raise
        raise Stop(f"another command is landing or building {game.name}: wait for it") from error


def build_unbuilt_days(game: Title) -> None:
    """Builds every day that is behind what was landed, by whichever landing; tells what was
    built."""
    from sprint_platform.orchestration.landed_days import ranges, unbuilt_days
    from sprint_platform.orchestration.runs import build_landed
    from sprint_platform.warehouse.database import connect
    from sprint_platform.warehouse.lease import lease

    with lease(f"sprint land of {game.name}"), connect() as con:
        days = unbuilt_days(con, game)
    if not days:
        out.print(f"{game.name}: every landed day is built.", highlight=False)
        return
    windows = ranges(days)
    failed: list[str] = []
    seconds: Counter[str] = Counter()
    with progress_bars(game, days) as watch:
        for window, run in zip(windows, build_landed(game, windows, watch), strict=True):
            tell_failures(run)
            seconds.update({"": run.seconds, **run.seconds_of})
            if run.success:
                out.print(f"{game.name}, {window}: built in {run.seconds:.1f} s", highlight=False)
            else:
                failed.append(str(window))
    if failed:
        raise Stop(
            f"{len(failed)} of {len(windows)} runs failed ({'; '.join(failed[:3])}): their logs are"
            f" in the UI (sprint ui), and sprint land --title {game.name} tries them again"
        )
    out.print(built_table(game, seconds.pop(""), seconds))
