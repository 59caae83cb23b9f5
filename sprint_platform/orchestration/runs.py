"""Running the part of a title, or of a domain from outside, from Python, as the command line
does."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from sprint_platform.core.signals import raise_if_stopped
from sprint_platform.core.window import Window
from sprint_platform.domain import Domain
from sprint_platform.operations.catalogue import read_catalogue
from sprint_platform.operations.domain_periods import stretches
from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.domain_definitions import build_domain_definitions
from sprint_platform.orchestration.failures import failure_of
from sprint_platform.orchestration.instance import dagster_instance
from sprint_platform.orchestration.raw_assets import landed_files_key
from sprint_platform.orchestration.resources import Warehouse
from sprint_platform.orchestration.run_tags import (
    domain_tags,
    existing_tags,
    range_tags,
    title_tags,
)
from sprint_platform.orchestration.run_window import Watch
from sprint_platform.places import catalogue_path
from sprint_platform.simulation.products import catalogue
from sprint_platform.storage.partitions import Period
from sprint_platform.telemetry.contracts import DAILY, ENTRYPOINTS
from sprint_platform.title import Title, title_names

if TYPE_CHECKING:
    from sprint_platform.landing.land import LandReport


@dataclass(frozen=True)
class GraphRun:
    """How a run ended. ``failures`` has a line per failed step; ``failed_checks`` names checks;
    ``seconds_of`` has the seconds of each asset's step, or of the dbt model itself."""

    run_id: str
    success: bool
    seconds: float
    seconds_of: dict[str, float]
    failures: list[str]
    failed_checks: list[str]


def selection_for(title: str, entrypoint: str) -> dg.AssetSelection:
    """The entrypoint's asset and what is downstream of it; for ``all`` everything, except a
    catalogue that was edited or made longer: it serves every title."""
    title_assets = dg.AssetSelection.key_prefixes([title])
    if entrypoint == "all":
        edited = catalogue_path().exists() and not read_catalogue().equals(catalogue())
        return title_assets if edited else title_assets | dg.AssetSelection.assets("products")
    if entrypoint == "products":
        start = dg.AssetSelection.assets("products")
    else:
        start = dg.AssetSelection.assets(dg.AssetKey([title, ENTRYPOINTS[entrypoint]]))
    weekly = [f"{name}_ml" for name in title_names()]
    return start.downstream() - dg.AssetSelection.key_prefixes(*([name] for name in weekly))


def _selection(title: Title, entrypoint: str) -> dg.AssetSelection:
    """As ``selection_for``, but of a title whose files a studio delivers only what is built from
    landed partitions: landing has its own command, as it changes other days too."""
    if title.source == "simulated":
        return selection_for(title.name, entrypoint)
    door = dg.AssetSelection.assets(landed_files_key(title))
    if entrypoint == "all":
        return dg.AssetSelection.key_prefixes([title.name]) - door
    if entrypoint == "products":
        return dg.AssetSelection.assets(dg.AssetKey([title.name, "dim_products"])).downstream()
    return selection_for(title.name, entrypoint)


def _days_selection(title: Title) -> dg.AssetSelection:
    """The datasets and models of a day, but not what delivers its records."""
    datasets = [dg.AssetKey([title.name, dataset]) for dataset in DAILY]
    return dg.AssetSelection.assets(*datasets) | _models_selection(title)


def _models_selection(title: Title) -> dg.AssetSelection:
    of_dbt = dg.AssetSelection.key_prefixes([title.name]) & dg.AssetSelection.kind("dbt")
    # without the seeds
    return of_dbt - dg.AssetSelection.groups(f"{title.name}_dim")


def run_graph(
    title: Title,
    first: date,
    last: date,
    *,
    entrypoint: str = "all",
    reuse: bool = False,
    watch: Watch | None = None,
) -> GraphRun:
    """Runs the days ``first`` to ``last`` (inclusive) in one run, and returns how it ended.

    With ``reuse`` partitions that exist and come from the same title are reused, and only loaded.
    ``watch`` is called with each chunk of rows made: (asset, day, rows). History goes to the
    Dagster instance that DAGSTER_HOME names.
    """
    [ended] = _run(
        title,
        [Window.of(first, last)],
        "run",
        _selection(title, entrypoint),
        watch,
        existing_tags(reuse),
    )
    return ended


def run_windows(
    title: Title, windows: Iterable[Window], watch: Watch | None = None
) -> Iterator[GraphRun]:
    """Runs everything for these days, a run per window; partitions that exist are reused."""
    return _run(title, windows, "run", _selection(title, "all"), watch, existing_tags(reuse=True))


def land_files(title: Title, watch: Watch | None = None) -> tuple[GraphRun, LandReport | None]:
    """Lands the files in the title's folder, in a run of its own; returns how the run ended, and
    the landing's report (None where it failed). No day is built."""
    reports: list[LandReport] = []
    definitions = build_definitions([title], watch=watch, on_landed=reports.append)
    keys = [landed_files_key(title)]
    if title.source == "landing":
        keys.append(dg.AssetKey([title.name, "dim_products"]))
    selection = dg.AssetSelection.assets(*keys)
    ended = materialize(definitions, f"{title.name}_landing", selection, title_tags(title.name))
    return ended, (reports[-1] if reports else None)


def build_landed(
    title: Title, windows: Iterable[Window], watch: Watch | None = None
) -> Iterator[GraphRun]:
    """Builds these days of a landed title, a run per window: loads the landed partitions, and
    builds and tests every model. Nothing is delivered or landed."""
    return _run(title, windows, "build", _days_selection(title), watch)


def build_models(
    title: Title, windows: Iterable[Window], watch: Watch | None = None
) -> Iterator[GraphRun]:
    """Builds and tests every model of these days, a run per window, from what is loaded."""
    return _run(title, windows, "models", _models_selection(title), watch)


def rebuild_days(
    title: Title, windows: Iterable[Window], without: Collection[str] = ()
) -> Iterator[GraphRun]:
    """Loads these days' partitions and the title's products, and builds and tests every model, a
    run per window; without these datasets and what is built from them. Partitions that are missing,
    or of another version of a simulated title, are made; nothing is delivered or landed."""
    products = dg.AssetSelection.assets(dg.AssetKey([title.name, "dim_products"]))
    selection: dg.AssetSelection = _days_selection(title) | products
    if without:
        keys = [dg.AssetKey([title.name, dataset]) for dataset in without]
        # a check may compare with what is left out; these days passed when they were built
        selection = (selection - dg.AssetSelection.assets(*keys).downstream()).without_checks()
    return _run(title, windows, "repair", selection, None, existing_tags(reuse=True))


def _run(
    title: Title,
    windows: Iterable[Window],
    kind: str,
    selection: dg.AssetSelection,
    watch: Watch | None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[GraphRun]:
    """A run of the selection for each window, of a job named ``<title>_<kind>``."""
    definitions = build_definitions([title], watch=watch)
    for window in windows:
        of_days = range_tags(window.days[0], window.days[-1])
        tags_of_run = {**title_tags(title.name), **of_days, **(tags or {})}
        yield materialize(definitions, f"{title.name}_{kind}", selection, tags_of_run)


def run_domain(
    domain: Domain, periods: Sequence[Period], *, models_only: bool = False, reuse: bool = False
) -> Iterator[GraphRun]:
    """Runs the days or batches (ascending) of a domain from outside, a run for each stretch without
    gaps. With ``reuse`` partitions of the same version are only loaded."""
    parts = build_domain_definitions(domain)
    definitions = dg.Definitions(assets=parts.assets, resources={"warehouse": Warehouse()})
    assets = [a for a in parts.assets or [] if isinstance(a, dg.AssetsDefinition)]
    selection = dg.AssetSelection.assets(*(assets[-1:] if models_only else assets))
    for first, last in stretches(domain, periods):
        tags = {**domain_tags(domain.name), **range_tags(first, last), **existing_tags(reuse)}
        yield materialize(definitions, f"{domain.name}_run", selection, tags)


def materialize(
    definitions: dg.Definitions,
    job_name: str,
    selection: dg.AssetSelection,
    tags: Mapping[str, str],
) -> GraphRun:
    """Materializes the selection in this process, in a run with these tags; returns how that
    ended."""
    # as dg.materialize does, whose job has a name that says nothing. No schedule or sensor has a
    # job of this name: they wait while one of their runs is unfinished, and the run of a killed
    # command is so for ever
    job = dg.define_asset_job(job_name, selection=selection)
    assets = [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)]
    began = time.perf_counter()
    with dagster_instance() as instance, _silent_dbt():
        runnable = dg.Definitions(assets=assets, jobs=[job], resources=definitions.resources)
        result = runnable.resolve_job_def(job_name).execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    raise_if_stopped()
    return GraphRun(
        run_id=result.run_id,
        success=result.success,
        seconds=time.perf_counter() - began,
        seconds_of=_seconds(result),
        failures=[
            failure_of(event) or f"{event.step_key}: it failed without saying why"
            for event in result.get_step_failure_events()
        ],
        failed_checks=[
            f"{check.asset_key.to_user_string()}: {check.check_name}"
            + (f" ({check.description})" if check.description else "")
            for check in result.get_asset_check_evaluations()
            if not check.passed
        ],
    )


@contextmanager
def _silent_dbt() -> Iterator[None]:
    """Silences dbt's log, which would tear the progress bars: its results come as events."""
    before = os.environ.get("DBT_LOG_LEVEL")
    os.environ["DBT_LOG_LEVEL"] = before or "none"
    try:
        yield
    finally:
        if before is None:
            del os.environ["DBT_LOG_LEVEL"]


def _seconds(result: dg.ExecuteInProcessResult) -> dict[str, float]:
    """The seconds by asset ("sprint/heartbeats"): for a model by dbt, for a step by Dagster."""
    steps = {
        event.step_key: event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success and event.step_key
    }
    seconds = {}
    for event in result.get_asset_materialization_events():
        duration = event.materialization.metadata.get("Execution Duration")
        took = duration.value if duration is not None else steps.get(event.step_key or "", 0.0)
        seconds[event.materialization.asset_key.to_user_string()] = float(str(took))
    return seconds
