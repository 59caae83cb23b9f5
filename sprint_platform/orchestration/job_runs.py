"""A job's runs over days: whether one is unfinished, which failed, and the request for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import dagster as dg

from sprint_platform.core.window import Window
from sprint_platform.operations.catch_up import EndedRun
from sprint_platform.orchestration.run_tags import days_tags, partitions_of, range_tags

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
# a cancelled run says nothing about its days
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
# So many of a job's runs are read: each day of a long gap may have had its own, three times.
RUNS_READ = 2000


def is_running(instance: dg.DagsterInstance, job_name: str) -> bool:
    """Whether a run of the job is queued, starting or running."""
    wanted = dg.RunsFilter(job_name=job_name, statuses=UNFINISHED)
    return bool(instance.get_run_records(wanted, limit=1))


def ended_runs(instance: dg.DagsterInstance, job_name: str) -> Iterator[EndedRun]:
    """The job's runs over days that succeeded or failed, the last one first."""
    wanted = dg.RunsFilter(job_name=job_name, statuses=ENDED)
    for record in instance.get_run_records(wanted, limit=RUNS_READ):
        if ends := partitions_of(record.dagster_run.tags):
            window = Window.of(*map(date.fromisoformat, ends))
            yield EndedRun(window, record.dagster_run.is_failure)


def request(
    job_name: str, window: Window, key: str, tags: Mapping[str, str] | None = None
) -> dg.RunRequest:
    """The request for a run of the job over the window: of one day for its partition, of more for
    their range. Two requests with the same ``key`` give one run of these days."""
    first, last = window.days[0], window.days[-1]
    alone = first == last
    return dg.RunRequest(
        run_key=f"{key}-{first}-{last}",
        job_name=job_name,
        partition_key=str(first) if alone else None,
        tags={**(days_tags if alone else range_tags)(first, last), **(tags or {})},
    )
