"""What is asked of a title's datasets, as SQL that finds what is wrong."""

from __future__ import annotations

import dagster as dg

from sprint_platform.operations.upstream import upstream_datasets
from sprint_platform.orchestration.checks import (
    ROWS_MATCH_MANIFEST,
    Rule,
    dates_inside_partition,
    table_of,
)
from sprint_platform.telemetry.contracts import DATASETS, Dataset
from sprint_platform.title import Title

KILLS_EQUAL_DEATHS = Rule(
    "In every session as many kills are credited as players die.",
    "select session_id, event_date, sum(kills) as kills, sum(deaths) as deaths"
    " from {raw}.event_session where {window}"
    " group by session_id, event_date having sum(kills) <> sum(deaths)",
)

ONE_TEAM_WINS = Rule(
    "In every session of several teams exactly one wins; a team alone neither wins nor loses.",
    "select session_id, event_date, teams, winners from (select session_id, event_date,"
    " count(distinct team_id) as teams, count(distinct team_id) filter (won) as winners,"
    " count(distinct team_id) filter (not won) as losers, count(*) - count(won) as open,"
    " count(won) as known from {raw}.event_session where {window}"
    " group by session_id, event_date) as of_session"
    " where (teams > 1 and (winners <> 1 or losers <> teams - 1 or open > 0))"
    " or (teams = 1 and known > 0)",
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
        f"select {ids}, {contract.partition_column} from {table_of(contract)} where {{window}}"
        " and player_id not in (select player_id from {dim}.dim_players)",
    )


def delivered_players(contract: Dataset) -> Rule:
    """The rule on a landed dataset that names players: a warning."""
    # a player's record may be delivered after what the player does: landing does not wait for it,
    # nor do the marts, which count unknown players under an unknown country
    return Rule(
        f"Every player of the {contract.name} is in dim_players.",
        f"select distinct player_id, {contract.partition_column} from {table_of(contract)}"
        " where {window} and player_id not in (select player_id from {dim}.dim_players)",
        dg.AssetCheckSeverity.WARN,
    )


def rules(title: Title, dataset: str) -> dict[str, Rule]:
    """The dataset's checks by name.

    Landed records are checked only for what landing ensures: games credit kills as they please, and
    sign-ons and sessions come from systems that need not agree.
    """
    contract = DATASETS[dataset]
    found = {
        "rows_match_manifest": ROWS_MATCH_MANIFEST,
        "dates_inside_partition": DATES_INSIDE_PARTITION.get(dataset)
        or dates_inside_partition(contract, f"{contract.occurred} on their partition's UTC day."),
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
        found["one_team_wins"] = ONE_TEAM_WINS
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
