"""The sensor that posts failed runs and failed checks to a webhook, where one is set."""

from __future__ import annotations

import dagster as dg

from sprint_platform.core.settings import SettingsError, settings, variable
from sprint_platform.core.window import span
from sprint_platform.operations.webhook import WebhookError, post, shareable
from sprint_platform.orchestration.failures import ClearFailure, failure_of
from sprint_platform.orchestration.history import domains_of, failed_checks
from sprint_platform.orchestration.run_tags import DOMAIN_TAG, TITLE_TAG, partitions_of

SECONDS_BETWEEN_TICKS = 30
# A tick has a minute, and a post may take ten seconds.
POSTS_A_TICK = 4
# So many ended runs are looked at in a tick.
RUNS_A_TICK = 50
CHECKS_NAMED = 5


def build_webhook_sensor() -> dg.SensorDefinition | None:
    """The sensor; None where no webhook is set. A wrong setting is reported in one line: it must
    not stop the games' graph."""
    try:
        if settings().webhook_url is None:
            return None
    except SettingsError as error:
        dg.get_dagster_logger().error(f"no failure is posted: {error}")
        return None

    @dg.sensor(
        name="failures_to_webhook",
        minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
        # whoever set the address wants the posts
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Posts runs that failed, and failed checks of others, to {variable('webhook_url')}:"
            " each once, from the sensor's first tick on. What the webhook did not take is posted"
            " by a later tick."
        ),
    )
    def failures(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        chosen = settings()
        assert chosen.webhook_url is not None
        if context.cursor is None:
            last = max((_ended(context.instance, None)), default=(0, ""))[0]
            return dg.SensorResult(
                skip_reason="runs that end from now on are looked at", cursor=str(last)
            )
        done, posted = int(context.cursor), 0
        for number, run_id in _ended(context.instance, done):
            text = message(context.instance, run_id, chosen.ui_url)
            if text is not None and posted == POSTS_A_TICK:
                break
            if text is not None:
                try:
                    post(chosen.webhook_url.get_secret_value(), text)
                except WebhookError as error:
                    if not posted:
                        # a failed tick moves no cursor
                        raise ClearFailure(f"{error}; it is tried again") from None
                    # those that were posted must not be posted again
                    break
                posted += 1
            done = number
        return dg.SensorResult(skip_reason=f"{posted} posted", cursor=str(done))

    return failures


def _ended(instance: dg.DagsterInstance, after: int | None) -> list[tuple[int, str]]:
    """The runs that failed or succeeded, as (number of the event, run), in the order of their ends:
    the first after that event; without one the last."""
    found: list[tuple[int, str]] = []
    complete_to: list[int] = []
    for wanted in (
        dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=after),
        dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_SUCCESS, after_storage_id=after),
    ):
        records = instance.fetch_run_status_changes(
            wanted, limit=RUNS_A_TICK, ascending=after is not None
        ).records
        found += [(record.storage_id, record.event_log_entry.run_id) for record in records]
        if len(records) == RUNS_A_TICK:
            complete_to.append(records[-1].storage_id)
    if after is not None and complete_to:
        # of one kind there may be more in between
        found = [each for each in found if each[0] <= min(complete_to)]
    return sorted(found)


def message(instance: dg.DagsterInstance, run_id: str, ui_url: str | None) -> str | None:
    """What is posted of a run: what it is of, its days, the step and its error in one line, checks
    that failed, and a link. None where nothing failed, or the run was deleted."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return None
    checks = failed_checks(instance, run_id)
    if not run.is_failure and not checks:
        return None
    whose = run.tags.get(TITLE_TAG) or run.tags.get(DOMAIN_TAG)
    of = whose or ", ".join(sorted(domains_of(instance, run))) or run.job_name
    days = partitions_of(run.tags)
    when = f", {span(*days)}" if days else ""
    what = "a run failed" if run.is_failure else "checks failed"
    lines = [shareable(f"{of}{when}: {what}")]
    if run.is_failure:
        lines.append(shareable(_error(instance, run)))
    for check in checks[:CHECKS_NAMED]:
        lines.append(shareable(f"{check.asset} {check.check}: {check.wrong or 'failed'}"))
    if len(checks) > CHECKS_NAMED:
        lines.append(f"and {len(checks) - CHECKS_NAMED} more checks")
    lines.append(f"{ui_url.rstrip('/')}/runs/{run_id}" if ui_url else f"run {run_id}")
    return "\n".join(lines)


def _error(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The first step that failed, and its error; else what Dagster says of the run's end."""
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        for record in instance.get_records_for_run(run.run_id, of_type=kind).records:
            event = record.event_log_entry.dagster_event
            line = failure_of(event) if event and event.is_step_failure else None
            if text := line or (event and event.message):
                return text
    return "it failed without saying why"
