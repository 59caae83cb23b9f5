"""Data quality: the latest check results, refused records, and the days that are published."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import duckdb
from dash import dcc, html

from sprint_platform.dashboard import parts, wording
from sprint_platform.dashboard.charts import bars, figure
from sprint_platform.dashboard.queries import quality
from sprint_platform.dashboard.view import View
from sprint_platform.title import Title, TitleError

if TYPE_CHECKING:
    from sprint_platform.orchestration.history import CheckResult, PastRun


def page(con: duckdb.DuckDBPyConnection, view: View) -> list[Any]:
    """Published days and marts, and refused records. ``history`` fills in the checks and runs: the
    first read of Dagster's history takes seconds."""
    return [
        html.Div(
            [
                dcc.Store(id="history-of", data=view.title.name),
                html.Div(
                    parts.card(
                        "checks",
                        [
                            html.H2("Checks", id="checks-name"),
                            html.P("Asking Dagster …", className="summary", role="status"),
                        ],
                        wide=True,
                    ),
                    id="history",
                    className="pair",
                ),
            ],
            className="wide",
        ),
        *_rejects(con, view),
        _days(view),
        _freshness(con, view),
    ]


def _days(view: View) -> html.Section:
    """The title's built days, and its missing ones."""
    coverage = view.title.coverage
    if coverage is None:
        text = "Which days are missing is not known: the next run or landing of the title says it."
    elif not coverage.built:
        text = "None is built."
    else:
        span = wording.span(coverage.built[0], coverage.built[-1])
        number = wording.count(len(coverage.built))
        text = f"{number} {'is' if number == '1' else 'are'} built, {span}."
        if not coverage.missing:
            text += " None is missing."
        if coverage.pruned:
            text += (
                f" Pruned up to {wording.day(coverage.pruned[-1])}: the single records of"
                f" {wording.counted(len(coverage.pruned), 'day', 'days')} are gone, their figures"
                " stay."
            )
    later = []
    if coverage and coverage.tail:
        later = [parts.unbuilt(coverage.tail, "not built yet", coverage.command, "note")]
    return parts.card(
        "days",
        [
            html.H2("Days", id="days-name"),
            html.P(text, className="summary"),
            *parts.missing_days(view),
            *later,
        ],
        wide=True,
    )


def _rejects(con: duckdb.DuckDBPyConnection, view: View) -> list[html.Section]:
    """The records that landing refused; nothing for a title that is not landed."""
    key, name = "rejects", "Records refused by landing"
    if "landing_rejects_daily" not in view.title.marts:
        if not _lands(view.title.name):
            return []
        missing = (
            f"Not published yet: {view.title.schema}.landing_rejects_daily. A landing publishes it:"
        )
        command = f" sprint land --title {view.title.name}"
        return [parts.nothing(key, name, missing + command, wide=True)]
    found = quality.rejects(con, view.title, view.first, view.last)
    if not found["reason"]:
        return [parts.nothing(key, name, "None on these days.", wide=True)]
    days = quality.rejects_by_day(con, view.title, view.first, view.last)
    refused = dict(zip(days["period"], days["records"], strict=True))
    # landing may refuse records of days before and after those of the key figures
    first = min([view.axis.first, *refused])
    last = max([view.axis.last, *refused])
    axis = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    without_day = sum(found["without_day"])
    with_day = sum(found["records"]) - without_day
    text = f"{wording.count(with_day) if with_day else 'None'} on"
    text += f" {wording.span(view.first, view.last)}"
    if without_day:
        text += f", and {wording.count(without_day)} that say no day"
    text += f"; most often {found['dataset'][0]}: {found['reason'][0]}."
    return [
        parts.chart(
            key,
            name,
            figure(
                [bars("records", axis, [refused.get(day, 0) for day in axis], 1)],
                y_title="records a day",
            ),
            text,
            parts.table(
                "Refused records by reason",
                ["dataset", "reason", "records", "days", "last day"],
                [
                    [
                        dataset,
                        html.Td(reason, className="words"),
                        wording.count(records),
                        wording.count(on_days),
                        wording.day(last),
                    ]
                    for dataset, reason, records, _, on_days, last in zip(
                        *found.values(), strict=True
                    )
                ],
            ),
            note="Records that say no day are in the table whatever days are chosen; the chart has"
            " no place for them."
            if without_day
            else None,
            wide=True,
            always=True,
        )
    ]


def _lands(name: str) -> bool:
    try:
        return Title.load(name).lands
    except TitleError:
        return False


def _freshness(con: duckdb.DuckDBPyConnection, view: View) -> html.Section:
    found = quality.freshness(con, view.title)
    latest = view.title.last
    # the mart of pairs of teams that met has no rows on a day on which none did
    rare = {f"{view.title.word}_summary_daily": quality.last_day_with_encounters(con, view.title)}
    behind, without_rows = [], False
    for mart, period, last in zip(found["mart"], found["period"], found["last"], strict=True):
        # on most days landing refuses nothing; it may refuse records of a day without sessions
        if period != "day" or mart == "landing_rejects_daily":
            continue
        wanted = rare.get(mart, latest)
        if last is None:
            without_rows = True
        elif wanted is not None and last < wanted:
            behind.append(mart)
    rest = (
        f"except {wording.joined(behind)}"
        if behind
        else "all that have rows"
        if without_rows
        else "all of them"
    )
    text = f"{wording.counted(len(found['mart']), 'mart', 'marts')}; the daily ones go to"
    return parts.card(
        "freshness",
        [
            html.H2("What is published", id="freshness-name"),
            html.P(f"{text} {wording.day(latest)}, {rest}.", className="summary"),
            parts.table(
                f"Marts of {view.title.name}",
                ["mart", "period", "first", "last", "rows"],
                [
                    [
                        mart,
                        html.Td(period or "whole", className="words"),
                        wording.period(first, period) if first and period else wording.NONE,
                        wording.period(last, period) if last and period else wording.NONE,
                        wording.count(rows),
                    ]
                    for mart, period, first, last, rows in zip(*found.values(), strict=True)
                ],
                key="freshness-table",
            ),
        ],
        wide=True,
    )


def history(title: str) -> list[Any]:
    """The checks' latest results and the last runs, from Dagster's instance."""
    # importing Dagster takes seconds: only this page waits for it
    from sprint_platform.orchestration.history import last_runs, latest_checks

    return [_checks(title, latest_checks(title)), _runs(title, last_runs(title))]


def no_history(error: Exception) -> list[Any]:
    """The card in place of Dagster's history where it cannot be read."""
    return [
        parts.card(
            "checks",
            [
                html.H2("Checks and runs", id="checks-name"),
                html.P(
                    "Dagster's history (DAGSTER_HOME) could not be read:"
                    f" {wording.failure(error)}; the server's log says more.",
                    className="warning",
                    role="status",
                ),
            ],
            wide=True,
        )
    ]


def _checks(title: str, checks: list[CheckResult]) -> html.Section:
    name = html.H2("Checks", id="checks-name")
    if not checks:
        return parts.card(
            "checks",
            [
                name,
                html.P(f"Dagster knows of no run of {title} that asked a check.", className="none"),
                html.Pre(html.Code(f"sprint run --title {title}")),
            ],
        )
    failed = [check for check in checks if not check.passed]
    assets = sorted({check.asset for check in checks})
    rows = [
        [
            asset,
            wording.count(sum(check.asset == asset for check in checks)),
            _verdict([check for check in failed if check.asset == asset]),
            f"{max(check.at for check in checks if check.asset == asset):%Y-%m-%d %H:%M}",
        ]
        for asset in assets
    ]
    text = (
        f"{len(failed)} of {wording.counted(len(checks), 'check', 'checks')} failed when they were"
        " asked last."
        if failed
        else "The only check passed when it was asked last."
        if len(checks) == 1
        else f"All {len(checks)} checks passed when they were asked last."
    )
    return parts.card(
        "checks",
        [
            name,
            html.P(text, className="summary", id="checks-summary"),
            *(
                html.P(
                    f"{check.asset}: {check.check} ({check.severity})"
                    + (f": {check.wrong}" if check.wrong else ""),
                    className="warning",
                )
                for check in failed
            ),
            parts.table(
                "Latest results of dbt's and Dagster's checks, by asset",
                ["asset", "checks", "result", "asked (UTC)"],
                rows,
                key="check-table",
            ),
        ],
    )


def _verdict(failed: list[CheckResult]) -> html.Td:
    if not failed:
        return html.Td("✓ passed", className="words passed")
    return html.Td(f"✗ {len(failed)} failed", className="words failed")


def _runs(title: str, runs: list[PastRun]) -> html.Section:
    name = html.H2("Last runs", id="runs-name")
    if not runs:
        return parts.card(
            "runs", [name, html.P(f"Dagster knows of no run of {title}.", className="none")]
        )
    rows = [
        [
            f"{run.started:%Y-%m-%d %H:%M}" if run.started else "not started",
            html.Td(
                wording.NONE
                if not run.first
                else run.first
                if run.first == run.last
                else f"{run.first} – {run.last}",
                className="words",
            ),
            html.Td(
                run.status,
                className=f"words {'passed' if run.status == 'success' else 'failed'}"
                if run.status in ("success", "failure", "canceled")
                else "words",
            ),
            wording.duration((run.ended - run.started).total_seconds())
            if run.started and run.ended
            else wording.NONE,
            html.Td(run.run_id[:8], className="words"),
        ]
        for run in runs
    ]
    failures = [run for run in runs if run.failure]
    return parts.card(
        "runs",
        [
            name,
            html.P(
                [
                    f"The last one: {runs[0].status}. The log of each is in Dagster's UI: ",
                    html.Code("sprint ui"),
                ],
                className="summary",
            ),
            *(
                html.P(f"{run.run_id[:8]}: {run.failure}", className="warning")
                for run in failures[:3]
            ),
            parts.table(
                f"Runs of {title} in Dagster",
                ["started (UTC)", "days", "status", "took", "run"],
                rows,
                key="run-table",
            ),
        ],
    )
