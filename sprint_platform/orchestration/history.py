"""Dagster's history: a domain's last runs, and the latest result of each of its checks.

A domain is a title, or another one whose assets' keys begin with its name. Read from the instance
that DAGSTER_HOME names; nothing is written, and no definitions are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from sprint_platform.orchestration.failures import failure_of
from sprint_platform.orchestration.instance import dagster_instance
from sprint_platform.orchestration.run_tags import (
    DOMAIN_TAG,
    TITLE_TAG,
    domain_tags,
    partitions_of,
    title_tags,
)

# So many runs of a domain are read: a check that is in none of them is not reported.
RUNS_READ = 60


@dataclass(frozen=True)
class PastRun:
    """A run: its id, its status in lower case (success, failure, started …), when it started and
    ended (UTC; None where it did not), its first and last partition (None where it has none), and
    the first line of the error of a failed one."""

    run_id: str
    status: str
    started: datetime | None
    ended: datetime | None
    first: str | None
    last: str | None
    failure: str | None


@dataclass(frozen=True)
class CheckResult:
    """The latest result of a check: its asset (``sprint/sessions``), whether it passed, its
    severity (``error`` where a failure stops what is downstream, or ``warn``), when (UTC), in which
    run, and what was wrong (None where nothing was, or the check does not say)."""

    asset: str
    check: str
    passed: bool
    severity: str
    at: datetime
    run_id: str
    wrong: str | None


def last_runs(domain: str, limit: int = 10) -> list[PastRun]:
    """The domain's latest runs, the last first. Empty where there was none."""
    found: list[PastRun] = []
    with dagster_instance() as instance:
        for record in _records(instance, domain):
            run = record.dagster_run
            first, last = partitions_of(run.tags) or (None, None)
            found.append(
                PastRun(
                    run_id=run.run_id,
                    status=run.status.value.lower(),
                    started=_moment(record.start_time),
                    ended=_moment(record.end_time),
                    first=first,
                    last=last,
                    failure=_failure(instance, run) if run.is_failure else None,
                )
            )
            if len(found) == limit:
                break
    return found


def latest_checks(domain: str) -> list[CheckResult]:
    """The latest result of each of the domain's checks, by asset and check. Empty where none has
    run yet."""
    latest: dict[tuple[str, str], CheckResult] = {}
    with dagster_instance() as instance:
        for record in _records(instance, domain):
            for result in _evaluations(instance, record.dagster_run.run_id):
                if result.asset.partition("/")[0] != domain:
                    continue
                known = latest.get((result.asset, result.check))
                if known is None or known.at < result.at:
                    latest[result.asset, result.check] = result
    return [latest[key] for key in sorted(latest)]


def _records(instance: dg.DagsterInstance, domain: str) -> list[dg.RunRecord]:
    """The domain's latest runs, the last first: those with its tag, and those among the latest of
    all domains without such a tag: of any selection, started from the UI's asset graph or by
    `dagster asset materialize`."""
    tagged = [
        record
        for tags in (title_tags(domain), domain_tags(domain))
        for record in instance.get_run_records(dg.RunsFilter(tags=tags), limit=RUNS_READ)
    ]
    others = [
        record
        for record in instance.get_run_records(limit=RUNS_READ)
        if not {TITLE_TAG, DOMAIN_TAG}.intersection(record.dagster_run.tags)
        and domain in domains_of(instance, record.dagster_run)
    ]
    return sorted([*tagged, *others], key=lambda record: record.storage_id, reverse=True)


def domains_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str]:
    """The domains of the assets that the run was to make."""
    if run.asset_selection:
        return {key.path[0] for key in run.asset_selection}
    if run.execution_plan_snapshot_id is None:
        return set()
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    outputs = [output.properties for step in plan.steps for output in step.outputs]
    return {output.asset_key.path[0] for output in outputs if output and output.asset_key}


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[CheckResult]:
    """The checks of the run that failed; not those that only warn."""
    results = _evaluations(instance, run_id)
    return [result for result in results if not result.passed and result.severity == "error"]


def _evaluations(instance: dg.DagsterInstance, run_id: str) -> Iterator[CheckResult]:
    for record in instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records:
        entry = record.event_log_entry
        event = entry.dagster_event
        if event is None:
            continue
        evaluation = event.asset_check_evaluation_data
        yield CheckResult(
            asset=evaluation.asset_key.to_user_string(),
            check=evaluation.check_name,
            passed=evaluation.passed,
            severity=evaluation.severity.value.lower(),
            at=datetime.fromtimestamp(entry.timestamp, UTC),
            run_id=run_id,
            wrong=None if evaluation.passed else _wrong(evaluation),
        )


def _wrong(evaluation: dg.AssetCheckEvaluation) -> str | None:
    """What was wrong, as a failed check says: its description, or its metadata in short."""
    if evaluation.description:
        return evaluation.description
    texts = [f"{name} {value.value}" for name, value in evaluation.metadata.items()]
    return ", ".join(texts)[:300] or None


def _failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    for record in instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
    ).records:
        if (event := record.event_log_entry.dagster_event) and (line := failure_of(event)):
            return line
    return None


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
