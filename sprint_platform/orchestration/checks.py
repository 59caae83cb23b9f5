"""Asset checks on the datasets of every title and domain, as SQL that finds what is wrong.

They check the run's periods, or everything when a check is launched alone. They belong to the
asset's own step (dataset_step.py): a failed check fails the step, and everything downstream waits.
As a step of their own they would not stop dbt: dbt's step tests the same tables, and Dagster
exempts a step that checks an asset from that asset's other checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import dagster as dg
import duckdb

from sprint_platform.core.window import span
from sprint_platform.publish.marts import existing_relations
from sprint_platform.storage.ledger import Ledger
from sprint_platform.storage.partitions import Period, made_batches, made_days, read_manifest
from sprint_platform.telemetry.contracts import Dataset

EXAMPLES = 3


@dataclass(frozen=True)
class Rule:
    """What a check asks of a dataset. ``violations`` is a query of the rows that break it, with
    ``{window}`` for the condition on the partition's day or batch, ``{raw}`` and ``{dim}`` for the
    schemas; without it, rows are counted against those of the partition files.
    """

    description: str
    violations: str | None = None
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


ROWS_MATCH_MANIFEST = Rule("The table holds as many rows of a day as the day's partition files.")


def table_of(dataset: Dataset) -> str:
    """The dataset's table, for a rule's query."""
    return f"{{{dataset.schema}}}.{dataset.table}"


def dates_inside_partition(dataset: Dataset, description: str) -> Rule:
    """The rule on a dataset whose rows are of the day on which they happened."""
    day, time = dataset.partition_column, dataset.time_column
    return Rule(
        description,
        f"select {', '.join(dataset.key)}, {day}, {time} from {table_of(dataset)}"
        f" where {{window}} and {time}::date <> {day}",
    )


def check_specs(asset: dg.AssetKey, rules: Mapping[str, Rule]) -> list[dg.AssetCheckSpec]:
    """The checks of the dataset's asset. An error blocks what is downstream, a warning does not."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset,
            description=rule.description,
            blocking=rule.severity == dg.AssetCheckSeverity.ERROR,
        )
        for name, rule in rules.items()
    ]


def run_checks(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    dataset: Dataset,
    rules: Mapping[str, Rule],
    periods: Sequence[Period],
) -> Iterator[dg.AssetCheckResult]:
    """The results of the dataset's rules from the first of the periods to the last (ascending),
    or over everything without any."""
    covered = span(periods[0], periods[-1]) if periods else "all"
    for name, rule in sorted(rules.items()):
        if rule.violations is None:
            wrong, examples = _rows_off_manifest(con, ledger, dataset, periods)
        else:
            wrong, examples = _violations(con, ledger.name, dataset, rule.violations, periods)
        yield dg.AssetCheckResult(
            asset_key=dg.AssetKey([ledger.name, dataset.name]),
            check_name=name,
            passed=not wrong,
            severity=rule.severity,
            description=f"{wrong:,} wrong, for example {'; '.join(examples)}" if wrong else None,
            metadata={"wrong": wrong, "batches" if ledger.batches else "days": covered},
        )


def _condition(dataset: Dataset, periods: Sequence[Period]) -> str:
    if not periods:
        return "true"
    first, last = (f"cast('{p}' as {dataset.partition_type})" for p in (periods[0], periods[-1]))
    return f"{dataset.partition_column} between {first} and {last}"


def _violations(
    con: duckdb.DuckDBPyConnection,
    domain: str,
    dataset: Dataset,
    violations: str,
    periods: Sequence[Period],
) -> tuple[int, list[str]]:
    query = violations.format(
        window=_condition(dataset, periods), raw=f"{domain}_raw", dim=f"{domain}_dim"
    )
    con.execute(f"select *, count(*) over () from ({query}) limit {EXAMPLES}")
    columns = [column[0] for column in con.description or []][:-1]
    found = con.fetchall()
    theirs = _source_ids(con, domain, {v for row in found for v in row if isinstance(v, UUID)})
    examples = [
        ", ".join(f"{c} {v}{theirs.get(v, '')}" for c, v in zip(columns, row, strict=False))
        for row in found
    ]
    return (found[0][-1] if found else 0), examples


def _source_ids(con: duckdb.DuckDBPyConnection, domain: str, ids: set[UUID]) -> dict[object, str]:
    """A studio's own ids, in brackets, by those of ours that were made of them."""
    relation = f"{domain}_dim.source_ids"
    if not ids or relation not in existing_relations(con):
        return {}
    found = con.execute(
        f"select id, source_id from {relation} where id in (select unnest(?::uuid[]))",
        [[str(one) for one in ids]],
    )
    return {one: f" ({source_id})" for one, source_id in found.fetchall()}


def _rows_off_manifest(
    con: duckdb.DuckDBPyConnection, ledger: Ledger, dataset: Dataset, periods: Sequence[Period]
) -> tuple[int, list[str]]:
    """How many periods have another number of rows in the table than in their partition files, and
    examples."""
    column = dataset.partition_column
    stored: dict[Period, int] = dict(
        con.execute(
            f"select {column}, count(*) from {dataset.relation(ledger.name)}"
            f" where {_condition(dataset, periods)} group by {column}"
        ).fetchall()
    )
    made = made_batches if ledger.batches else made_days
    wrong = []
    for period in sorted({*stored, *(periods or made(ledger.name, dataset.name))}):
        manifest = read_manifest(ledger.name, dataset.name, period, dataset)
        written = manifest.rows if manifest and not manifest.pruned else 0
        if stored.get(period, 0) != written:
            wrong.append(f"{period} has {stored.get(period, 0):,} rows of {written:,}")
    return len(wrong), wrong[:EXAMPLES]
