"""The sensor of a landed title: new files are landed, and the days that they change are built."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg

from sprint_platform.core.locks import holder_of
from sprint_platform.core.window import ranges
from sprint_platform.operations.catch_up import few_runs
from sprint_platform.operations.days_to_build import days_to_build, has_partition, title_lock
from sprint_platform.orchestration.job_runs import is_running, request
from sprint_platform.storage.partitions import read_manifest
from sprint_platform.telemetry.contracts import DAILY
from sprint_platform.title import Title

if TYPE_CHECKING:
    from sprint_platform.landing.past_landings import Landing, PartitionChange

SECONDS_BETWEEN_TICKS = 30
# A folder that cannot be landed is tried so often; one that is held back for its rejects is not
# tried again.
TRIES = 3
STATE_TAG = "sprint/landing_state"


def build_landing_sensor(
    title: Title,
    land_job: dg.UnresolvedAssetJobDefinition,
    daily_job: dg.UnresolvedAssetJobDefinition,
    reopened_job: dg.UnresolvedAssetJobDefinition,
    models: Iterable[dg.AssetKey],
) -> dg.SensorDefinition:
    """The sensor that lands when files are new or changed, or a day came for which records wait,
    and builds, with ``reopened_job``, the
    days of every landing: its own, the command line's or ``daily_job``'s. ``models`` are the last
    models of those days."""
    models = list(models)

    @dg.sensor(
        name=f"{title.name}_landing",
        jobs=[land_job, reopened_job],
        minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=(
            f"Lands new and changed files of data/landing/{title.name}/, and what waited for a day"
            " that has come, and builds exactly the days that a landing changed. Switch it on in"
            f" the UI (Automation) or with `dagster sensor start {title.name}_landing"
            " -m sprint_platform.definitions`."
        ),
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        # its imports are for landing titles only
        from sprint_platform.landing.files import folder_state
        from sprint_platform.landing.past_landings import (
            filled_days,
            is_held_back,
            landings_since,
            last_landed_state,
            next_day,
        )

        if command := holder_of(title_lock(title)):
            return dg.SkipReason(f"{title.name} is being landed and built by {command}")
        # a landing must not change a day between the steps of a run that builds it
        for name in sorted({land_job.name, daily_job.name, reopened_job.name}):
            if is_running(context.instance, name):
                return dg.SkipReason(f"{name} is running")
        state, landed = folder_state(title), last_landed_state(title)
        came = next_day(title) if state == landed else None
        # a day that has come is landed once, as a folder that changed is
        asked = f"{state}-{came}" if came and came <= datetime.now(UTC).date() else state
        tries = _tries(context.instance, title, asked)
        if asked != landed and tries < TRIES and not is_held_back(title):
            land = dg.RunRequest(
                run_key=f"{title.name}-land-{asked}-{tries}",
                job_name=land_job.name,
                tags={STATE_TAG: _state_of(title, asked)},
            )
            return dg.SensorResult([land])
        seen = int((context.cursor or "0").partition("-")[0])
        landings = landings_since(title, max(0, seen - 1))
        if seen and landings and _mark(landings[0]) == context.cursor:
            landings = landings[1:]
        elif seen:
            # what was landed has been removed, and its landings count from 1 again
            landings = landings_since(title, 0)
        if not landings:
            failed = "these files were not landed: they are tried again when one of them changes"
            return dg.SkipReason("no file is new" if asked == landed else failed)
        last = _mark(landings[-1])
        changes = [change for landing in landings for change in landing.changes]
        days = unbuilt(context.instance, title, changes, models)
        # what faults dirty is delivered day by day: a day between may be yet to come
        studio = title.source == "landing"
        windows = few_runs(days, filled_days(title)) if studio else ranges(days)
        return dg.SensorResult(
            [
                request(reopened_job.name, window, f"{title.name}-landing-{last}")
                for window in windows
            ],
            cursor=last,
        )

    return landing


def unbuilt(
    instance: dg.DagsterInstance,
    title: Title,
    changes: Iterable[PartitionChange],
    models: list[dg.AssetKey],
) -> list[date]:
    """The days of these changes, without those that Dagster knows to be built from the partitions
    as they are now (by a command, say): a dataset's last materialization has the manifest's digest,
    and every model's came after it."""
    changed = {(change.dataset, change.day) for change in changes if change.dataset in DAILY}
    days = {day for _, day in changed if has_partition(title, day)}
    modelled = [_last_ids(instance, model, days) for model in models]
    behind = set()
    for dataset in sorted({dataset for dataset, _ in changed}):
        materialized = _materialized(instance, dg.AssetKey([title.name, dataset]), days)
        for day in sorted(day for name, day in changed if name == dataset):
            manifest = read_manifest(title.name, dataset, day)
            digest, event = materialized.get(day, (None, 0))
            oldest_model = min(at.get(day, 0) for at in modelled)
            if manifest is None or digest != manifest.digest or oldest_model <= event:
                behind.add((dataset, day))
    return days_to_build(title, behind)


def _last_ids(instance: dg.DagsterInstance, key: dg.AssetKey, days: set[date]) -> dict[date, int]:
    """The storage id of each day's last materialization; ids grow with time."""
    found = instance.event_log_storage.get_latest_storage_id_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, {day.isoformat() for day in days}
    )
    return {date.fromisoformat(day): number for day, number in found.items()}


def _materialized(
    instance: dg.DagsterInstance, key: dg.AssetKey, days: set[date]
) -> dict[date, tuple[object, int]]:
    """The digest and storage id of each day's last materialization."""
    ids = _last_ids(instance, key, days)
    if not ids:
        return {}
    found: dict[date, tuple[object, int]] = {}
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, storage_ids=list(ids.values())), limit=len(ids)
    ).records
    for record in records:
        materialization = record.asset_materialization
        if materialization is None or materialization.partition is None:
            continue
        digest = materialization.metadata.get("digest")
        day = date.fromisoformat(materialization.partition)
        found[day] = (digest.value if digest else None, record.storage_id)
    return found


def _tries(instance: dg.DagsterInstance, title: Title, state: str) -> int:
    """How often a landing of the folder in this state was requested: a run may be killed, or find a
    full disk."""
    tags = {STATE_TAG: _state_of(title, state)}
    return len(instance.get_run_records(dg.RunsFilter(tags=tags), limit=TRIES))


def _state_of(title: Title, state: str) -> str:
    return f"{title.name} {state} {title.landing_settings.reject_limit}"


def _mark(landing: Landing) -> str:
    """The landing's number and a digest of what it changed: the number alone comes again when what
    was landed is removed."""
    content = hashlib.blake2b(digest_size=4)
    for change in landing.changes:
        content.update(f"{change.dataset} {change.day} {change.digest}\n".encode())
    return f"{landing.number}-{content.hexdigest()}"
