"""How the periods of a domain from outside stand: made, loaded, built, missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import duckdb

from sprint_platform.core.window import Window
from sprint_platform.domain import Days, Domain
from sprint_platform.engines.load import ensure_tables
from sprint_platform.storage.ledger import Standing
from sprint_platform.storage.partitions import (
    PartitionError,
    Period,
    made_batches,
    made_days,
    read_manifest,
)
from sprint_platform.telemetry.contracts import Dataset


def made_periods(domain: Domain) -> list[Period]:
    """The days or batches of which some dataset was made, ascending."""
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


def described_periods(periods: Sequence[object]) -> str:
    """Days or batches in words, short however many there are."""
    if len(periods) == 1:
        return str(periods[0])
    return f"{periods[0]} (and {len(periods) - 1} more, up to {periods[-1]})"


def require_made(domain: Domain, dataset: Dataset, periods: Iterable[Period]) -> None:
    """Raises PartitionError, naming what to materialize first, where a dataset that this one is
    made from is missing for one of the periods, or comes from another version of the domain."""
    periods = list(periods)
    for upstream in dataset.upstream:
        missing = [period for period in periods if not _is_made(domain, upstream, period)]
        if missing:
            raise PartitionError(
                f"{domain.name}/{dataset.name} needs {domain.name}/{upstream} for"
                f" {described_periods(missing)}: materialize {domain.name}/{upstream} first"
            )


def _is_made(domain: Domain, dataset: str, period: Period) -> bool:
    manifest = read_manifest(domain.name, dataset, period)
    return manifest is not None and manifest.source == domain.source


def require_loaded(
    con: duckdb.DuckDBPyConnection, domain: Domain, read: Iterable[str], periods: Iterable[Period]
) -> None:
    """Raises PartitionError where the warehouse does not hold one of the periods of the datasets
    ``read`` as its files have it: a run that was killed between the two would build models of old
    rows, or none."""
    ensure_tables(con, domain.ledger, domain.datasets)
    periods = list(periods)
    for name in sorted(read):
        loaded = domain.ledger.loaded(con, name)
        behind = []
        for period in periods:
            manifest = read_manifest(domain.name, name, period)
            if manifest is None or manifest.digest != loaded.get(period):
                behind.append(period)
        if behind:
            asset = f"{domain.name}/{name}"
            raise PartitionError(
                f"the warehouse does not hold {asset} for {described_periods(behind)} as its files"
                f" do: materialize {asset} for {behind[0]} first"
            )
