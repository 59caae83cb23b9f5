"""Building the days of a title that are not built, or not by today's definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from sprint_platform.cli.progress import progress_bars
from sprint_platform.cli.run_report import built_table, print_failures
from sprint_platform.cli.terminal import Stop, out, problems
from sprint_platform.core.signals import what_is_left
from sprint_platform.storage.ledger import title_ledger
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

if TYPE_CHECKING:
    import duckdb

    from sprint_platform.core.window import Window
    from sprint_platform.orchestration.run_window import Watch
    from sprint_platform.orchestration.runs import GraphRun
    from sprint_platform.storage.ledger import Model

    # Builds windows of a title, a run each.
    Build = Callable[[Title, Iterable[Window], Watch | None], Iterator[GraphRun]]


def build_unbuilt_days(game: Title, asked: list[date] | None = None) -> None:
    """Builds every day that is not built from what is landed now, of those ``asked`` for where any
    are. Prints what was built, and which days were built by another definition than today's."""
    from sprint_platform.core.window import ranges
    from sprint_platform.landing.past_landings import filled_days
    from sprint_platform.operations.catch_up import few_runs
    from sprint_platform.operations.days_to_build import before_launch, stale_days, unbuilt_days
    from sprint_platform.orchestration.runs import build_landed

    with _ledger(game) as (con, models):
        days = unbuilt_days(con, game, models)
        stale = stale_days(game, title_ledger(game.name).standing(con, models))
        loaded = title_ledger(game.name).loaded_before(con, game.launch_date)
    if asked is not None:
        days = [day for day in days if day in asked]
    if days:
        # what faults dirty is delivered day by day: a day between may be yet to come
        studio = game.source == "landing"
        windows = few_runs(days, filled_days(game)) if studio else ranges(days)
        _build(game, windows, build_landed, f"sprint land --title {game.name}")
    elif asked:
        line = f"{game.name}: every landed day from {asked[0]} to {asked[-1]} is built."
        out.print(line, highlight=False)
    else:
        out.print(f"{game.name}: every landed day is built.", highlight=False)
    _, outside = before_launch(game, loaded)
    if outside:
        problems.print(f"[yellow]outside[/] {outside}", highlight=False, soft_wrap=True)
    if stale := [day for day in stale if day not in days]:
        problems.print(
            f"[yellow]stale[/] {len(stale)} days of {game.name} from {stale[0]} to {stale[-1]} were"
            f" built by another definition than today's: sprint run --title {game.name} --stale",
            highlight=False,
            soft_wrap=True,
        )


def build_missing_days(game: Title, asked: list[date]) -> None:
    """Runs those of the days that are not built, in runs no longer than the schedule's, and prints
    what was built. For a landed title it builds the landed days that are not built; for one with
    faults also the days that late records change."""
    from sprint_platform.operations.catch_up import runs_of
    from sprint_platform.operations.days_to_build import missing_days
    from sprint_platform.orchestration.runs import run_windows
    from sprint_platform.simulation.estimates import estimate, run_seconds

    if game.source == "landing":
        build_unbuilt_days(game, asked)
        return
    with _ledger(game) as (con, models):
        standing = title_ledger(game.name).standing(con, models)
    wanted = set(asked)
    days = [day for day in missing_days(game, standing, asked[-1]) if day in wanted]
    if not days:
        out.print(
            f"{game.name}: no day is missing from {asked[0]} to {asked[-1]}.", highlight=False
        )
        return
    windows = runs_of(days, lambda part, runs: run_seconds(estimate(game, part), len(part), runs))
    _build(game, windows, run_windows, f"sprint run --title {game.name} --missing")
    if game.faults is not None:
        # these days delivered late records of other days
        build_unbuilt_days(game)


def build_stale_days(game: Title, asked: list[date] | None) -> None:
    """Makes and builds every day again that another version of the title made, then the models of
    every day that was built by another definition than today's, of those ``asked`` for where any
    are. Prints what was built."""
    from sprint_platform.core.window import ranges
    from sprint_platform.operations.catch_up import runs_of
    from sprint_platform.operations.days_to_build import outdated_days, stale_days
    from sprint_platform.orchestration.runs import build_models, run_windows
    from sprint_platform.simulation.estimates import estimate, run_seconds

    again = f"sprint run --title {game.name} --stale"
    with _ledger(game) as (con, models):
        outdated = outdated_days(game, title_ledger(game.name).loaded_sources(con))
        standing = title_ledger(game.name).standing(con, models)
        stale = stale_days(game, standing)
    if asked is not None:
        outdated, stale = ([day for day in days if day in asked] for days in (outdated, stale))
    if not outdated and not stale:
        line = f"{game.name}: every day was made and built as it is defined now."
        # a new model is no other definition of a day
        if standing.unbuilt:
            line = (
                f"{game.name}: what is built is built as it is defined now, but on"
                f" {len(standing.unbuilt)} loaded days a model is not built yet:"
                f" sprint run --title {game.name} --missing"
            )
        out.print(line, highlight=False, soft_wrap=True)
        return
    if outdated:
        windows = runs_of(
            outdated, lambda part, runs: run_seconds(estimate(game, part), len(part), runs)
        )
        _build(game, windows, run_windows, again)
    if left := [day for day in stale if day not in outdated]:
        _build(game, ranges(left), build_models, again)


@contextmanager
def _ledger(game: Title) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[Model]]]:
    """A connection to the warehouse and the title's models; the lease is held."""
    from sprint_platform.core.locks import hold
    from sprint_platform.engines.duckdb_file import connect, warehouse_lock
    from sprint_platform.engines.load import ensure_title_schemas
    from sprint_platform.orchestration.title_models import TitleTranslator
    from sprint_platform.transform.dbt_manifest import graph_manifest

    models = TitleTranslator(game).models(graph_manifest())
    with hold(warehouse_lock(), f"sprint on days of {game.name}"), connect() as con:
        ensure_title_schemas(con, game.name)
        yield con, models


def _build(game: Title, windows: list[Window], build: Build, again: str) -> None:
    """Builds the windows, one run each. Raises Stop, which names the command ``again``, where runs
    failed."""
    failed: list[str] = []
    seconds: Counter[str] = Counter()
    days = [day for window in windows for day in window.days]
    with what_is_left(f"{again} builds the rest"), progress_bars(game, days) as watch:
        for window, run in zip(windows, build(game, windows, watch), strict=True):
            print_failures(run)
            seconds.update({"": run.seconds, **run.seconds_of})
            if run.success:
                out.print(f"{game.name}, {window}: built in {run.seconds:.1f} s", highlight=False)
            else:
                failed.append(str(window))
    if failed:
        raise Stop(
            f"{len(failed)} of {len(windows)} runs failed ({'; '.join(failed[:3])}): their logs are"
            f" in the UI (sprint ui), and {again} tries them again"
        )
    out.print(built_table(game.name, DATASETS.values(), seconds.pop(""), seconds))
