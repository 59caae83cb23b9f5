"""Jobs, and the schedules of the daily ones: every night the days that are missing up to
yesterday."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, timedelta

import dagster as dg

from sprint_platform.core.locks import holder_of
from sprint_platform.core.window import Window, described, ranges
from sprint_platform.ml.names import PREDICTIONS
from sprint_platform.operations.catch_up import TRIES, Seconds, next_runs
from sprint_platform.operations.days_to_build import missing_days, title_lock
from sprint_platform.orchestration.job_runs import ended_runs, is_running, request
from sprint_platform.orchestration.run_tags import EXISTING_TAG, REUSE
from sprint_platform.publish.marts import published_weeks
from sprint_platform.storage.ledger import Ledger, Model, title_ledger
from sprint_platform.storage.partitions import made_days
from sprint_platform.storefront.contracts import BRONZE_TABLES
from sprint_platform.storefront.contracts import DOMAIN as STORE
from sprint_platform.storefront.duckdb_target import LEDGER
from sprint_platform.title import Title

# After midnight UTC: yesterday is over.
CRON = "0 2 * * *"
# When the days of the week before may be built; every day, as they may take longer, or a run fail.
WEEKLY_CRON = "0 4 * * *"


def build_job(
    name: str, tags: Mapping[str, str], assets: Iterable[dg.AssetsDefinition], description: str
) -> dg.UnresolvedAssetJobDefinition:
    """A job of these assets; its runs have the ``tags`` of their title or domain."""
    selection = dg.AssetSelection.assets(*assets)
    return dg.define_asset_job(name, selection, tags=tags, description=description)


def build_title_schedule(
    title: Title, job: dg.UnresolvedAssetJobDefinition, models: Callable[[], list[Model]]
) -> dg.ScheduleDefinition:
    """Makes the days of a title that are missing up to yesterday; ``models`` are the models of a
    day."""

    def missing(last: date) -> list[date]:
        standing = title_ledger(title.name).published_standing(models())
        return missing_days(title, standing, last)

    def seconds(days: list[date], runs: int) -> float:
        # numpy: only when something is missing
        from sprint_platform.simulation.estimates import estimate, run_seconds

        return run_seconds(estimate(title, days), len(days), runs)

    def busy() -> str | None:
        command = holder_of(title_lock(title))
        return f"{title.name} is being built by {command}" if command else None

    def by_hand(days: list[date]) -> str:
        return f"sprint run --title {title.name} --missing"

    return build_daily_schedule(job, title.name, missing, seconds, by_hand, busy)


def build_weekly_schedule(
    title: Title,
    job: dg.UnresolvedAssetJobDefinition,
    models: Callable[[], list[Model]],
    weekly: Callable[[], list[Model]],
) -> dg.ScheduleDefinition:
    """Makes the title's weeks that are over, once their days are built, and again where days
    changed since; ``models`` are the models of a day, ``weekly`` those of weeks."""

    @dg.schedule(
        job=job,
        name=f"{job.name}_schedule",
        cron_schedule=WEEKLY_CRON,
        execution_timezone="UTC",
        description=(
            f"Every day at 04:00 UTC: where the last week of {title.name} is not there yet, or days"
            " of its weeks changed, makes these weeks, trains anew, and says whom to make an offer;"
            f" after {TRIES} runs that failed, again with the next week. Switch it on in the UI"
            f" (Automation) or with `dagster schedule start {job.name}_schedule"
            " -m sprint_platform.definitions`."
        ),
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(UTC).date()
        sunday = today - timedelta(days=today.weekday() + 1)
        if is_running(context.instance, job.name):
            return dg.SkipReason(f"a run of {job.name} is queued or running")
        ledger = title_ledger(title.name)
        standing = ledger.published_standing(models())
        built = sorted(map(date.fromisoformat, standing.built)) if standing else []
        if not built or built[-1] < sunday:
            return dg.SkipReason(f"{title.name} is not built up to {sunday}")
        past = [r.failed for r in ended_runs(context.instance, job.name) if r.window.end > sunday]
        if past[:TRIES] == [True] * TRIES:
            return dg.SkipReason(f"{TRIES} runs of {job.name} failed one after the other")
        stretches = _stretches(title, [day for day in built if day <= sunday], sunday)
        changed = _changed_since(ledger, weekly())
        for stretch in reversed(stretches):
            # the newest first, which the predictions need; an older one another day
            if days := [day for day in stretch.days if day in changed]:
                asked = Window(days[0], stretch.end)
                return request(job.name, asked, f"{today}")
        there = f"every week of {title.name} is there up to {sunday}"
        last_week = Window.of(sunday - timedelta(days=6), sunday)
        failed = past[:1] == [True]
        if not failed and last_week.start in published_weeks(title.name, PREDICTIONS):
            return dg.SkipReason(there)
        if not failed and past:
            return dg.SkipReason(f"{there}; why nothing is predicted says the run's log")
        if not stretches or stretches[-1].end <= sunday:
            return dg.SkipReason(f"{title.name} is not built on {sunday}")
        # the weeks were built, and then something failed
        asked = Window(max(last_week.start, stretches[-1].start), last_week.end)
        return request(job.name, asked, f"{today}")

    return schedule


def _stretches(title: Title, built: list[date], last: date) -> list[Window]:
    """The built days (ascending) up to the ``last`` as windows that a run may have: of a simulated
    title without gaps, as a run of days that are missing fails. A studio's may be missing."""
    if title.lands and built:
        return [Window.of(built[0], last)]
    return ranges(built)


def _changed_since(ledger: Ledger, weekly: Iterable[Model]) -> set[date]:
    """The days whose records are loaded, but are not those that the weekly models were built of. Of
    a player's own record only the country and the platform are read: weeks before a change of these
    stay."""
    read = [Model(m.name, m.definition, m.datasets - {"dim_players"}) for m in weekly]
    standing = ledger.published_standing(read)
    behind = (*standing.unbuilt, *standing.stale) if standing else ()
    return set(map(date.fromisoformat, behind))


def build_storefront_schedule(
    job: dg.UnresolvedAssetJobDefinition, opening_day: date, models: Callable[[], list[Model]]
) -> dg.ScheduleDefinition:
    """Makes the days of the store that are missing up to yesterday: from the first that is loaded,
    or from the opening day of a new store."""

    def missing(last: date) -> list[date]:
        standing = LEDGER.published_standing(models())
        if standing is not None:
            loaded = sorted(map(date.fromisoformat, [*standing.built, *standing.unbuilt]))
            built = set(map(date.fromisoformat, standing.built))
        else:
            # nothing was published by this version: days count that were made
            built = set.intersection(*(made_days(STORE, table) for table in BRONZE_TABLES))
            loaded = sorted(built)
        first = max([opening_day, *loaded[:1]])
        return [day for day in Window.of(first, last).days if day not in built]

    def seconds(days: list[date], runs: int) -> float:
        from sprint_platform.simulation.estimates import run_seconds

        return run_seconds([], len(days), runs)

    def by_hand(days: list[date]) -> str:
        return (
            f"sprint storefront generate --from {days[0]} --to {days[-1]} --load, then sprint"
            " storefront build"
        )

    return build_daily_schedule(job, "the store", missing, seconds, by_hand)


def build_daily_schedule(
    job: dg.UnresolvedAssetJobDefinition,
    whose: str,
    missing: Callable[[date], list[date]],
    seconds: Seconds,
    by_hand: Callable[[list[date]], str],
    busy: Callable[[], str | None] = lambda: None,
) -> dg.ScheduleDefinition:
    """``missing`` returns the days that are missing up to a last one, ``by_hand`` the command that
    makes days; ``busy`` says which command does so now."""

    @dg.schedule(
        job=job,
        name=f"{job.name}_schedule",
        cron_schedule=CRON,
        execution_timezone="UTC",
        description=(
            f"Every day at 02:00 UTC: makes the oldest days of {whose} that are missing, up to"
            " yesterday, in one run of at most SPRINT_CATCH_UP_DAYS days and about two hours; after"
            " a run of several days that failed, each of them in a run of its own. Switch it on in"
            f" the UI (Automation) or with `dagster schedule start {job.name}_schedule"
            " -m sprint_platform.definitions`."
        ),
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(UTC)
        if is_running(context.instance, job.name):
            return dg.SkipReason(f"a run of {job.name} is queued or running")
        if builder := busy():
            return dg.SkipReason(builder)
        days = missing(now.date() - timedelta(days=1))
        if not days:
            return dg.SkipReason(f"every day of {whose} is built up to yesterday")
        ask = next_runs(days, ended_runs(context.instance, job.name), seconds)
        given_up = ""
        if ask.passed_over:
            given_up = (
                f"{described(ask.passed_over)}: {TRIES} runs of {job.name} failed one after the"
                f" other; not asked for again. Once it is mended: {by_hand(ask.passed_over)}"
            )
            context.log.warning(given_up)
        if not ask.windows:
            return dg.SkipReason(given_up)
        return [
            # days that were made are reused; a day in a run of its own is made again: it may have
            # failed for what is in its files
            request(
                job.name, w, f"{now:%Y-%m-%d}", {EXISTING_TAG: REUSE} if len(w.days) > 1 else {}
            )
            for w in ask.windows
        ]

    return schedule
