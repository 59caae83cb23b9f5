"""Explanations for people: why records were rejected, and what others wait for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb

from sprint_platform.landing.values import FLAGS
from sprint_platform.telemetry.contracts import DATASETS
from sprint_platform.title import Title

# A report names so many of the sessions that a file's heartbeats wait for.
MOST_WAITS = 3
# What to do where values of a type cannot be read.
REMEDIES = {
    "timestamp": "times are ISO 8601, or numbers with epoch_unit; landing.read takes others, by"
    " strptime",
    **dict.fromkeys(
        ("position", "money"),
        "numbers have a decimal point; landing.read takes others, by decimal_separator",
    ),
    "flag": f"flags are {', '.join(FLAGS)}; mapping.values translates others",
}


def why_rejected(
    con: duckdb.DuckDBPyConnection, title: Title, files: list[int], dataset: str
) -> str:
    """The most frequent reasons for the rejects of landed files, each with the first such
    record."""
    reasons = con.execute(
        "select reason, column_name, count(*),"
        " arg_min(name || ' row ' || row || ' ' || left(record, 160), row)"
        " from rejected join files using (file_no)"
        " where rejected.dataset = ? and file_no in (select unnest(?))"
        " group by 1, 2 order by 3 desc, 1, 2 limit 3",
        [dataset, files],
    ).fetchall()
    return "; ".join(
        f"{n:,} {_in_words(title, dataset, reason, column)} (first: {where})"
        for reason, column, n, where in reasons
    )


def _in_words(title: Title, dataset: str, reason: str, column: str | None) -> str:
    """A reason, its column, and what to do where that is known."""
    why, _, remedy = reason.partition(": ")
    if column == "team_id" and why == "out_of_range":
        remedy = "team numbers begin with 1; teams: labels takes 0 and 1, too"
    elif why in ("unparseable", "unknown_value"):
        contract = {c.name: c for c in DATASETS[dataset].columns}.get(column or "")
        if contract and contract.values:
            remedy = f"one of {', '.join(contract.values)}; mapping.values translates others"
        elif contract:
            remedy = REMEDIES.get(contract.type, "")
    of = f" of {column}" if column else ""
    launch = f" ({title.launch_date})" if why == "before_launch" else ""
    return f"{why}{of}{launch}" + (f": {remedy}" if remedy else "")


def waits_of(
    con: duckdb.DuckDBPyConnection, file_no: int, dataset: str, today: date
) -> Iterator[str]:
    """What the waiting records of a landed file wait for, the most frequent first."""
    if dataset != "heartbeats":
        waiting = con.execute(
            "select day, sum(waiting)::bigint from verdicts where file_no = ? and dataset = ?"
            " group by day having sum(waiting) > 0 order by day",
            [file_no, dataset],
        ).fetchall()
        lines = [f"{n:,} of {dataset} wait for {day}, which is to come" for day, n in waiting]
    else:
        waiting = con.execute(
            "select waiting.day, coalesce(session.source_id, waiting.session_id::varchar),"
            " string_agg(distinct coalesce(player.source_id, waiting.player_id::varchar), ', '),"
            " any_value(starts.day), sum(heartbeats)::bigint as records"
            " from (select * from pending where file_no = ? and not far) as waiting"
            " left join source_ids as session"
            "  on session.kind = 'session' and session.id = waiting.session_id"
            " left join source_ids as player"
            "  on player.kind = 'player' and player.id = waiting.player_id"
            " left join starts on starts.dataset = 'sessions' and starts.id = waiting.session_id"
            " group by 1, 2 order by records desc, 2",
            [file_no],
        ).fetchall()
        lines = []
        for day, session, players, start, n in waiting:
            if (start or day) > today:
                lines.append(f"{n:,} heartbeats wait for {start or day}, which is to come")
            elif start is None:
                lines.append(f"{n:,} heartbeats wait for session {session}, which no file has")
            else:
                lines.append(
                    f"{n:,} heartbeats wait for a part of {players} in session {session}, which no"
                    " file has"
                )
    yield from lines[:MOST_WAITS]
    if len(lines) > MOST_WAITS:
        yield f"others wait for {len(lines) - MOST_WAITS:,} more"
