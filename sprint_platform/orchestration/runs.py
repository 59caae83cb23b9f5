"""Running a title's part of the graph from Python, as the command line does."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import date

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from sprint_platform.orchestration.build import build_definitions
from sprint_platform.orchestration.catalogue import read_catalogue
from sprint_platform.orchestration.raw_assets import EXISTING_TAG, Watch
from sprint_platform.places import catalogue_path
from sprint_platform.simulation.products import catalogue
from sprint_platform.title import Title

# Where `sprint run --entrypoint` starts; what is downstream of it runs too.
ENTRYPOINTS = {
    "products": "products",
    "players": "dim_players",
    "signons": "signons",
    "sessions": "sessions",
    "heartbeats": "heartbeats",
    "transactions": "transactions",
}


@dataclass(frozen=True)
class GraphRun:
    """How a run ended. ``failures`` has a line per failed step; ``failed_checks`` names checks;
    ``seconds_of`` has the seconds of each asset's step, and for a dbt model its own."""

    run_id: str
    success: bool
    seconds: float
    seconds_of: dict[str, float]
    failures: list[str]
    failed_checks: list[str]


def selection_for(title: str, entrypoint: str) -> dg.AssetSelection:
    """The entrypoint's asset and what is downstream of it; everything for ``all``, except a
    catalogue that somebody has edited or made longer: it serves every title."""
    title_assets = dg.AssetSelection.key_prefixes([title])
    if entrypoint == "all":
        edited = catalogue_path().exists() and not read_catalogue().equals(catalogue())
        return title_assets if edited else title_assets | dg.AssetSelection.assets("products")
    if entrypoint == "products":
        start = dg.AssetSelection.assets("products")
    else:
        start = dg.AssetSelection.assets(dg.AssetKey([title, ENTRYPOINTS[entrypoint]]))
    return start.downstream()


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

    With ``reuse`` partitions that exist and come from the same title are kept and only loaded.
    ``watch`` hears of each chunk of rows made: (asset, day, rows). History goes to the Dagster
    instance that DAGSTER_HOME names.
    """
    # dbt tells its results as events; its console lines would tear the progress bars
    os.environ.setdefault("DBT_QUIET", "true")
    definitions = build_definitions([title], watch=watch)
    assets = list(definitions.assets or [])
    began = time.perf_counter()
    with dg.DagsterInstance.get() as instance:
        result = dg.materialize(
            [asset for asset in assets if isinstance(asset, dg.AssetsDefinition)],
            selection=selection_for(title.name, entrypoint),
            resources=definitions.resources,
            instance=instance,
            raise_on_error=False,
            tags={
                ASSET_PARTITION_RANGE_START_TAG: first.isoformat(),
                ASSET_PARTITION_RANGE_END_TAG: last.isoformat(),
                EXISTING_TAG: "reuse" if reuse else "regenerate",
            },
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    return GraphRun(
        run_id=result.run_id,
        success=result.success,
        seconds=time.perf_counter() - began,
        seconds_of=_seconds(result),
        failures=[_failure(event) for event in result.get_step_failure_events()],
        failed_checks=[
            f"{check.asset_key.to_user_string()}: {check.check_name}"
            for check in result.get_asset_check_evaluations()
            if not check.passed
        ],
    )


def _seconds(result: dg.ExecuteInProcessResult) -> dict[str, float]:
    """By asset ("sprint/heartbeats"): dbt says how long a model took, Dagster how long a step."""
    steps = {
        event.step_key: event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success and event.step_key
    }
    seconds = {}
    for event in result.get_asset_materialization_events():
        told = event.materialization.metadata.get("Execution Duration")
        took = told.value if told is not None else steps.get(event.step_key or "", 0.0)
        seconds[event.materialization.asset_key.to_user_string()] = float(str(took))
    return seconds


def _failure(event: dg.DagsterEvent) -> str:
    """The failure's first telling line."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    message = error.message.strip().splitlines()[0] if error else "it failed without saying why"
    return f"{event.step_key}: {message}"
