"""Asset checks on the datasets of a domain from outside: they compare rows and files with its
contract. They belong to the asset's own step, as those of a title do (checks.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
import duckdb

from sprint_platform.domain import Batches, Domain
from sprint_platform.operations.domain_periods import made_periods
from sprint_platform.orchestration.checks import EXAMPLES, ROWS_MATCH_MANIFEST
from sprint_platform.storage.partitions import Period, read_manifest
from sprint_platform.telemetry.contracts import Dataset


def checks_of(domain: Domain, dataset: Dataset) -> dict[str, str]:
    """What each of the dataset's checks asks, by name."""
    found = {
        "rows_match_manifest": ROWS_MATCH_MANIFEST,
        "key_is_unique": f"No two rows have the same {', '.join(dataset.key)}.",
    }
    if dataset.time_column and not isinstance(domain.periods, Batches):
        found["dates_inside_partition"] = (
            f"Every {dataset.time_column} lies within its partition's UTC day."
        )
    return found


def check_specs(domain: Domain, dataset: Dataset) -> list[dg.AssetCheckSpec]:
    """The dataset's checks; each blocks the assets downstream."""
    key = dg.AssetKey([domain.name, dataset.name])
    return [
        dg.AssetCheckSpec(name, asset=key, description=description, blocking=True)
        for name, description in checks_of(domain, dataset).items()
    ]


def run_checks(
    con: duckdb.DuckDBPyConnection,
    domain: Domain,
    dataset: Dataset,
    names: Iterable[str],
    periods: Sequence[Period],
) -> Iterator[dg.AssetCheckResult]:
    """The results of the named checks over the periods, or over everything without any."""
    for name in sorted(names):
        if name == "rows_match_manifest":
            wrong = _rows_off_manifest(con, domain, dataset, periods or made_periods(domain))
        else:
            wrong = _wrong_rows(con, domain, dataset, name, periods)
        examples = "; ".join(wrong[:EXAMPLES])
        yield dg.AssetCheckResult(
            asset_key=dg.AssetKey([domain.name, dataset.name]),
            check_name=name,
            passed=not wrong,
            description=f"{len(wrong):,} wrong, for example {examples}" if wrong else None,
            metadata={"wrong": len(wrong)},
        )


def is_whole(con: duckdb.DuckDBPyConnection, domain: Domain, period: Period) -> bool:
    """Whether the warehouse holds the period of every dataset, and each passes its checks."""
    return all(
        period in domain.ledger.loaded(con, dataset.name)
        and all(
            result.passed
            for result in run_checks(con, domain, dataset, checks_of(domain, dataset), [period])
        )
        for dataset in domain.datasets
    )


def _rows_off_manifest(
    con: duckdb.DuckDBPyConnection, domain: Domain, dataset: Dataset, periods: Sequence[Period]
) -> list[str]:
    stored = dict(
        con.execute(
            f"select {dataset.partition_column}, count(*) from {dataset.relation(domain.name)}"
            f" where {dataset.partition_column} in (select unnest(?)) group by 1",
            [list(periods)],
        ).fetchall()
    )
    wrong = []
    for period in periods:
        manifest = read_manifest(domain.name, dataset.name, period)
        written = manifest.rows if manifest else 0
        if stored.get(period, 0) != written:
            wrong.append(f"{period} has {stored.get(period, 0):,} rows of {written:,}")
    return wrong


def _wrong_rows(
    con: duckdb.DuckDBPyConnection,
    domain: Domain,
    dataset: Dataset,
    name: str,
    periods: Sequence[Period],
) -> list[str]:
    key, column = ", ".join(dataset.key), dataset.partition_column
    relation = dataset.relation(domain.name)
    of_periods = f"{column} in (select unnest(?))" if periods else "true"
    if name == "key_is_unique":
        query = f"select {key} from {relation} where {of_periods} group by all having count(*) > 1"
    else:
        outside = f"cast({dataset.time_column} as date) <> {column}"
        query = f"select {key}, {column} from {relation} where {of_periods} and {outside}"
    found = con.execute(query, [list(periods)] if periods else [])
    names = [described[0] for described in found.description or []]
    return [
        ", ".join(f"{n} {value}" for n, value in zip(names, row, strict=True))
        for row in found.fetchall()
    ]
