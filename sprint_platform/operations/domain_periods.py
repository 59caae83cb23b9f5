"""The state of the periods of a domain from outside: made, loaded, built, missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby

import duckdb

from sprint_platform.core.window import Window, described
from sprint_platform.domain import Days, Domain
from sprint_platform.engines.load import ensure_tables
from sprint_platform.operations.catch_up import runs_of
from sprint_platform.storage.ledger import Standing
from sprint_platform.storage.partitions import (
    Manifest,
    PartitionError,
    Period,
    made_batches,
    made_days,
    read_manifest,
)
from sprint_platform.telemetry.contracts import Dataset


def made_periods(domain: Domain) -> list[Period]:
    """The days or batches with a partition of some dataset, ascending."""
    found: set[Period] = set()
    for dataset in domain.datasets:
        if isinstance(domain.periods, Days):
            found |= made_days(domain.name, dataset.name)
        else:
            found |= made_batches(domain.name, dataset.name)
    return sorted(found)


def missing_days(domain: Domain, standing: Standing | None, last: date) -> list[date]:
    """The days from the first to the ``last`` that are not built, ascending; all of them where
    nothing was published yet (None)."""
    assert isinstance(domain.periods, Days)
    built = {date.fromisoformat(day) for day in standing.built} if standing else set()
    return [day for day in Window.of(domain.periods.first, last).days if day not in built]


def run_seconds(domain: Domain, periods: int, runs: int = 1) -> float:
    """About how long so many runs take over so many periods in all."""
    # numpy: only when something is to be made
    from sprint_platform.simulation.estimates import SECONDS_A_RUN

    return SECONDS_A_RUN * runs + domain.seconds_a_period * periods


def stretches(domain: Domain, periods: Sequence[Period]) -> list[tuple[Period, Period]]:
    """The periods (ascending) as the first and last of each run: without gaps, and of days none
    longer than the schedule's runs are."""
    days = [period for period in periods if not isinstance(period, int)]
    if days:
        windows = runs_of(days, lambda part, runs: run_seconds(domain, len(part), runs))
        return [(window.days[0], window.days[-1]) for window in windows]
    batches = [period for period in periods if isinstance(period, int)]
    found: list[tuple[Period, Period]] = []
    for _, group in groupby(enumerate(batches), lambda item: item[1] - item[0]):
        members = [batch for _, batch in group]
        found.append((members[0], members[-1]))
    return found


def require_made(domain: Domain, dataset: Dataset, periods: Iterable[Period]) -> None:
    """Raises PartitionError, naming what to materialize first, where a dataset that this one is
    made from is missing for one of the periods, or comes from another version of the domain."""
    periods = list(periods)
    for upstream in dataset.upstream:
        missing = [period for period in periods if not _is_made(domain, upstream, period)]
        if missing:
            raise PartitionError(
                f"{domain.name}/{dataset.name} needs {domain.name}/{upstream} for"
                f" {described(missing)}: materialize {domain.name}/{upstream} first"
            )


def _is_made(domain: Domain, dataset: str, period: Period) -> bool:
    manifest = _manifest(domain, dataset, period)
    return manifest is not None and manifest.source == domain.source


def _manifest(domain: Domain, dataset: str, period: Period) -> Manifest | None:
    contract = next(found for found in domain.datasets if found.name == dataset)
    return read_manifest(domain.name, dataset, period, contract)


def require_loaded(
    con: duckdb.DuckDBPyConnection, domain: Domain, read: Iterable[str], periods: Iterable[Period]
) -> None:
    """Raises PartitionError where the warehouse does not hold a period of the datasets ``read`` as
    its files have it: after a run that was killed between the two, models would be built from old
    rows, or none."""
    ensure_tables(con, domain.ledger, domain.datasets)
    periods = list(periods)
    for name in sorted(read):
        loaded = domain.ledger.loaded(con, name)
        behind = []
        for period in periods:
            manifest = _manifest(domain, name, period)
            if manifest is None or manifest.digest != loaded.get(period):
                behind.append(period)
        if behind:
            asset = f"{domain.name}/{name}"
            raise PartitionError(
                f"the warehouse does not hold {asset} for {described(behind)} as its files"
                f" do: materialize {asset} for {behind[0]} first"
            )
