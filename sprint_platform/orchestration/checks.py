"""Asset checks on the datasets, as SQL that counts what is wrong.

They check the run's days, or everything when a check is launched alone. They belong to the asset's
own step (raw_assets.py): a failed check fails the step, and everything downstream waits. As a step
of their own they would not stop dbt: dbt's step tests the same tables, and Dagster exempts a step
that checks an asset from that asset's other checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import dagster as dg
import duckdb

from sprint_platform.core.window import Window
from sprint_platform.operations.upstream import upstream_datasets
from sprint_platform.storage.partitions import partition_days, read_manifest
from sprint_platform.telemetry.contracts import DATASETS, Dataset
from sprint_platform.title import Title

EXAMPLES = 3


@dataclass(frozen=True)
class Rule:
    """What a check asks of a dataset. ``violations`` is a query of the rows that break it, with
    ``{window}`` for the condition on the partition's day, ``{raw}`` and ``{dim}`` for the schemas.
    """

    description: str
    violations: str
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


ROWS_MATCH_MANIFEST = "The table holds as many rows of a day as the day's partition files."

KILLS_EQUAL_DEATHS = Rule(
    "In every session as many kills are credited as players die.",
    "select session_id, event_date, sum(kills) as kills, sum(deaths) as deaths"
    " from {raw}.event_session where {window}"
    " group by session_id, event_date having sum(kills) <> sum(deaths)",
)

# The rules on keys and days that sessions and heartbeats have instead of the general ones. A
# heartbeat's key is checked once per player and session, not per beat.
NO_ORPHAN_KEYS = {
    "sessions": Rule(
        "Every player of a session signed on that day.",
        "select session_id, player_id, event_date from {raw}.event_session as child where {window}"
        " and not exists (select 1 from {raw}.event_signons as parent"
        " where parent.event_date = child.event_date and parent.player_id = child.player_id)",
    ),
    "heartbeats": Rule(
        "Every heartbeat belongs to a player's part in a session of that day.",
        "select session_id, player_id, event_date from (select distinct session_id, player_id,"
        " event_date from {raw}.event_heartbeat where {window}) as child"
        " where not exists (select 1 from {raw}.event_session as parent"
        " where parent.event_date = child.event_date and parent.session_id = child.session_id"
        " and parent.player_id = child.player_id)",
    ),
}
DATES_INSIDE_PARTITION = {
    "sessions": Rule(
        "Sessions started on their partition's UTC day; a later player may join after midnight.",
        "select session_id, event_date, min(started_at) as started_at from {raw}.event_session"
        " where {window} group by session_id, event_date"
        " having min(started_at)::date <> event_date",
    ),
    "heartbeats": Rule(
        "Heartbeats come from a session of their partition's UTC day, and the next at most.",
        "select session_id, player_id, event_date, event_datetime from {raw}.event_heartbeat"
        " where {window} and event_datetime::date not in (event_date, event_date + 1)",
    ),
}


def known_players(contract: Dataset) -> Rule:
    """The rule on a simulated dataset that names players."""
    ids = ", ".join(dict.fromkeys([*contract.key, "player_id"]))
    return Rule(
        f"Every player who {contract.player_who} is in dim_players.",
        f"select {ids}, {contract.partition_column} from {_table(contract)} where {{window}}"
        " and player_id not in (select player_id from {dim}.dim_players)",
    )


def delivered_players(contract: Dataset) -> Rule:
    """The rule on a landed dataset that names players: a warning."""
    # a player's record may be delivered after what the player does: landing does not wait for it,
    # nor do the marts, which count unknown players under an unknown country
    return Rule(
        f"Every player of the {contract.name} is in dim_players.",
        f"select distinct player_id, {contract.partition_column} from {_table(contract)}"
        " where {window} and player_id not in (select player_id from {dim}.dim_players)",
        dg.AssetCheckSeverity.WARN,
    )


def dates_inside_partition(contract: Dataset) -> Rule:
    """The rule on a dataset whose rows are of the day on which they happened."""
    day, time = contract.partition_column, contract.time_column
    return Rule(
        f"{contract.occurred} on their partition's UTC day.",
        f"select {', '.join(contract.key)}, {day}, {time} from {_table(contract)}"
        f" where {{window}} and {time}::date <> {day}",
    )


def _table(contract: Dataset) -> str:
    return f"{{{contract.schema}}}.{contract.table}"


def rules(title: Title, dataset: str) -> dict[str, Rule | None]:
    """The dataset's checks by name. None stands for ``rows_match_manifest``, which reads files.

    Landed records are checked only for what landing ensures: games credit kills as they please, and
    sign-ons and sessions come from systems that need not agree.
    """
    contract = DATASETS[dataset]
    found: dict[str, Rule | None] = {
        "rows_match_manifest": None,
        "dates_inside_partition": DATES_INSIDE_PARTITION.get(dataset)
        or dates_inside_partition(contract),
    }
    if title.lands:
        if dataset == "heartbeats":
            found["dates_inside_partition"] = heartbeats_inside_sessions(title)
            found["no_orphan_keys"] = NO_ORPHAN_KEYS[dataset]
        elif "dim_players" in upstream_datasets(title, dataset):
            found["no_orphan_keys"] = delivered_players(contract)
        return found
    if dataset in NO_ORPHAN_KEYS:
        found["no_orphan_keys"] = NO_ORPHAN_KEYS[dataset]
    elif "dim_players" in contract.upstream:
        found["no_orphan_keys"] = known_players(contract)
    if dataset == "sessions":
        found["kills_equal_deaths"] = KILLS_EQUAL_DEATHS
    return found


def heartbeats_inside_sessions(title: Title) -> Rule:
    """The rule on landed heartbeats, by their session's own times: a session may go on for days (a
    player may join after midnight, and stay for a day)."""
    seconds = title.landing_settings.session_tolerance_seconds
    return Rule(
        f"Heartbeats lie within their session, or at most {seconds} s outside of it.",
        "select beats.session_id, beats.event_date, first_at, last_at, started_at, ended_at from"
        " (select session_id, event_date, min(event_datetime) as first_at,"
        " max(event_datetime) as last_at from {raw}.event_heartbeat where {window}"
        " group by session_id, event_date) as beats join"
        " (select session_id, event_date, min(started_at) as started_at,"
        " max(event_datetime) as ended_at from {raw}.event_session where {window}"
        " group by session_id, event_date) as sessions"
        " on beats.session_id = sessions.session_id and beats.event_date = sessions.event_date"
        f" where first_at < started_at - interval {seconds} seconds"
        f" or last_at > ended_at + interval {seconds} seconds",
    )


def check_specs(title: Title, dataset: str) -> list[dg.AssetCheckSpec]:
    """The dataset's checks. An error blocks what is downstream, a warning does not."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=dg.AssetKey([title.name, dataset]),
            description=rule.description if rule else ROWS_MATCH_MANIFEST,
            blocking=rule is None or rule.severity == dg.AssetCheckSeverity.ERROR,
        )
        for name, rule in rules(title, dataset).items()
    ]


def run_checks(
    con: duckdb.DuckDBPyConnection,
    title: Title,
    dataset: str,
    names: Iterable[str],
    window: Window | None,
) -> Iterator[dg.AssetCheckResult]:
    """The results of the named checks over the window, or over everything without one."""
    asked = rules(title, dataset)
    for name in sorted(names):
        rule = asked[name]
        if rule is None:
            wrong, examples = _rows_off_manifest(con, title, dataset, window)
        else:
            wrong, examples = _violations(con, title, dataset, rule, window)
        yield dg.AssetCheckResult(
            asset_key=dg.AssetKey([title.name, dataset]),
            check_name=name,
            passed=not wrong,
            severity=rule.severity if rule else dg.AssetCheckSeverity.ERROR,
            description=f"{wrong:,} wrong, for example {'; '.join(examples)}" if wrong else None,
            metadata={"wrong": wrong, "days": str(window) if window else "all"},
        )


def _condition(dataset: str, window: Window | None) -> str:
    column = DATASETS[dataset].partition_column
    if window is None:
        return "true"
    return f"{column} >= date '{window.start}' and {column} < date '{window.end}'"


def _violations(
    con: duckdb.DuckDBPyConnection, title: Title, dataset: str, rule: Rule, window: Window | None
) -> tuple[int, list[str]]:
    query = rule.violations.format(
        window=_condition(dataset, window), raw=f"{title.name}_raw", dim=f"{title.name}_dim"
    )
    con.execute(f"select *, count(*) over () from ({query}) limit {EXAMPLES}")
    columns = [column[0] for column in con.description or []][:-1]
    found = con.fetchall()
    examples = [", ".join(f"{c} {v}" for c, v in zip(columns, row, strict=False)) for row in found]
    return (found[0][-1] if found else 0), examples


def _rows_off_manifest(
    con: duckdb.DuckDBPyConnection, title: Title, dataset: str, window: Window | None
) -> tuple[int, list[str]]:
    """How many days have another number of rows in the table than in their partition files, and
    examples."""
    contract = DATASETS[dataset]
    column = contract.partition_column
    stored: dict[date, int] = dict(
        con.execute(
            f"select {column}, count(*) from {contract.relation(title.name)}"
            f" where {_condition(dataset, window)} group by {column}"
        ).fetchall()
    )
    days = window.days if window else sorted({*stored, *partition_days(title.name, dataset)})
    wrong = []
    for day in days:
        manifest = read_manifest(title.name, dataset, day)
        written = manifest.rows if manifest else 0
        if stored.get(day, 0) != written:
            wrong.append(f"{day} has {stored.get(day, 0):,} rows of {written:,}")
    return len(wrong), wrong[:EXAMPLES]
