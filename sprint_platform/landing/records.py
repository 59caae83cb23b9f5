"""Admission of sessions, purchases, sign-ons, players and products: staged records to days.

A session belongs to the day of its earliest record, every other record to its own. Of several
records with one key the earliest is admitted (then the first file by name, then the first row):
exact copies of it are dropped as duplicates, others are rejected, but for the later parts of a
player who left a session and came back: those are joined. So what is admitted depends on
the files, never on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa

from sprint_platform.landing.ids import KINDS
from sprint_platform.landing.register import Entries, registered
from sprint_platform.landing.staging import day_number
from sprint_platform.telemetry.contracts import DATASETS, UNKNOWN_COUNTRY
from sprint_platform.title import Title

# A session's records may begin on the next UTC day, when it crosses midnight.
LONGEST_SESSION_SECONDS = 86_400


@dataclass(frozen=True)
class Admitted:
    """A day's admitted records in the contract's schema; sessions have their teams' labels, too."""

    records: pa.Table
    labels: pa.Table | None = None  # session_id, team_label, team_id


# The parts of one player in one session as one: times span, what is counted adds up, and the rest
# is the first part's. A length stays within what the contract allows.
_JOINED = """(
    select * replace (
        cast(least(sum(event_length_seconds) over of_key, 86400) as integer)
            as event_length_seconds,
        max(event_datetime) over of_key as event_datetime,
        cast(sum(kills) over of_key as integer) as kills,
        cast(sum(deaths) over of_key as integer) as deaths,
        max_by(won, started_at) over of_key as won
    )
    from (select {recorded}, verdict, day, place, row from judged where verdict is null)
    window of_key as (partition by day, session_id, player_id)
    qualify row_number() over (
        partition by day, session_id, player_id order by started_at, place, row
    ) = 1
)"""


def key_sql(dataset: str) -> str:
    """The key of a record within its partition, as SQL."""
    return ", ".join(DATASETS[dataset].key)


def admit_records(
    entries: Entries, title: Title, dataset: str, days: list[date]
) -> dict[date, Admitted]:
    """The records of the days' partitions, from the relation ``staged``: what is staged of the days
    (for sessions of the next, too) with file_no, place and own_day, or all of some keys. Adds their
    verdicts, rejected and duplicates to the register; the caller removes old ones first."""
    con, contract = entries.con, DATASETS[dataset]
    columns = [c.name for c in contract.columns]
    labels = dataset == "sessions" and title.landing_settings.mapping.teams == "labels"
    recorded = ["team_label" if labels and c == "team_id" else c for c in columns]
    content = f"row({', '.join(recorded)})"
    time, entity = contract.time_column, contract.entity
    wanted = "(" + ", ".join(f"date '{day}'" for day in days) + ")"
    late, nights = "false", 0
    if dataset == "sessions":
        late = f"{time} > starts.first_at + interval {LONGEST_SESSION_SECONDS} second"
        nights = 1
    if entity and time:
        candidates = (
            f"(select staged.*, starts.day as day, {late} as late from staged join starts"
            f" on starts.dataset = '{dataset}' and starts.id = {entity} and starts.day in {wanted}"
            f" and own_day - starts.day between 0 and {nights})"
        )
    else:
        candidates = (
            f"(select *, own_day as day, {late} as late from staged where own_day in {wanted})"
        )
    key = f"day, {key_sql(dataset)}"
    repeated = con.execute(f"select 1 from {candidates} group by {key} having count(*) > 1 limit 1")
    joined = False
    if repeated.fetchone() is None:  # the usual case, in a third of the time
        verdict, source = "case when late then 'outside_session' end", candidates
    elif dataset == "sessions":
        # who leaves and comes back has a record for each part: they follow one another
        joined = True
        order = f"{time}, place, row"
        team = recorded[columns.index("team_id")]
        parts = (
            f"select *, {team} is not distinct from first_value({team}) over of_key as"
            " same_team,"
            f" row_number() over (partition by {key}, {content} order by {order}) > 1 as copy,"
            f" dense_rank() over (order by {key}) as part_of"
            f" from {candidates} window of_key as (partition by {key} order by {order})"
            f" order by part_of, {order}"
        )
        verdict = (
            "case when copy then 'duplicate' when late then 'outside_session'"
            " when not follows then 'duplicate_key' end"
        )
        source = "parts"
    else:
        # a player signs on often in a day; the contract has the day's first
        same = "true" if dataset == "signons" else f"{content} = first_value({content}) over of_key"
        order = f"{time}, place, row" if time else "place, row"
        verdict = (
            "case when not first then case when same then 'duplicate' else 'duplicate_key' end"
            " when late then 'outside_session' end"
        )
        source = (
            f"(select *, {same} as same, row_number() over of_key = 1 as first from {candidates}"
            f" window of_key as (partition by {key} order by {order}))"
        )
    with ExitStack() as stack:
        if joined:
            found = con.execute(parts).to_arrow_table()
            stack.enter_context(registered(con, "parts", _following(found)))
        judged = stack.enter_context(
            _relation(con, "judged", f"select *, {verdict} as verdict from {source}")
        )
        _add_verdicts(entries, dataset, judged, unassigned=False, recorded=recorded)
        return _accepted(con, dataset, days, recorded, labels=labels, joined=joined)


def _accepted(
    con: duckdb.DuckDBPyConnection,
    dataset: str,
    days: list[date],
    recorded: list[str],
    *,
    labels: bool,
    joined: bool,
) -> dict[date, Admitted]:
    """The accepted records in ``judged`` of each day, those of one key ``joined``."""
    contract = DATASETS[dataset]
    columns = [c.name for c in contract.columns]
    if labels:
        team = "cast(dense_rank() over (partition by session_id order by team_label) as smallint)"
        columns = [f"{team} as team_id" if c == "team_id" else c for c in columns]
        columns.append("team_label")
    accepted = _JOINED.format(recorded=", ".join(recorded)) if joined else "judged"
    selected = con.execute(
        f"select {', '.join(columns)}, day from {accepted} where verdict is null"
        " order by day, place, row"
    ).to_arrow_table()
    of_day = np.asarray(selected["day"].cast(pa.int32()))
    found: dict[date, Admitted] = {}
    for day in days:
        low, high = np.searchsorted(of_day, [day_number(day), day_number(day) + 1]).tolist()
        records = selected.slice(low, high - low).drop_columns("day")
        numbers = None
        if labels:
            numbers = records.select(["session_id", "team_label", "team_id"])
            records = records.drop_columns("team_label")
        found[day] = Admitted(records.cast(contract.arrow_schema), numbers)
    return found


def admit_derived_sessions(
    con: duckdb.DuckDBPyConnection,
    title: Title,
    day: date,
    last_heartbeats: Callable[[pa.Table], pa.Table],
) -> Admitted:
    """The day's sessions where only heartbeats are delivered: a player's part lasts from the first
    heartbeat to the end of the last one's interval. Heartbeats more than a day after the session's
    start do not belong to it, and a part ends there at the latest.

    ``staged`` holds spans of heartbeats: a player's first and last one of a file's batch. For parts
    that go on beyond the day (session_id, player_id, ends_by), ``last_heartbeats`` returns the last
    heartbeat up to ``ends_by`` (session_id, player_id, last_at), which their spans do not show."""
    labels = title.landing_settings.mapping.teams == "labels"
    team, nobody = ("team_label", "'1'") if labels else ("team_id", "1")
    number = "dense_rank() over (partition by session_id order by team)" if labels else "team"
    spans = (
        "with bounded as ("
        f" select session_id, player_id, coalesce({team}, {nobody}) as team, started_at,"
        "  event_datetime, place, min(started_at) over (partition by session_id)"
        f"   + interval {LONGEST_SESSION_SECONDS} second as ends_by"
        " from staged where session_id in (select id from starts"
        f"  where dataset = 'sessions' and day = date '{day}'))"
        f" select *, {number} as number from bounded where started_at <= ends_by"
    )
    with _relation(con, "spans", spans):
        overlong = con.execute(
            "select session_id, player_id, any_value(ends_by) as ends_by from spans"
            " where event_datetime > ends_by group by session_id, player_id"
        ).to_arrow_table()
        records = _derived_parts(con, title, last_heartbeats(overlong))
        numbers = None
        if labels:
            numbers = con.execute(
                "select distinct session_id, team as team_label, cast(number as smallint) as"
                " team_id from spans"
            ).to_arrow_table()
    return Admitted(records.cast(DATASETS["sessions"].arrow_schema), numbers)


def _derived_parts(con: duckdb.DuckDBPyConnection, title: Title, lasts: pa.Table) -> pa.Table:
    """The players' parts, from ``spans`` and the last heartbeats of the overlong ones."""
    beat, parts = title.beat_microseconds
    with registered(con, "lasts", lasts):
        return con.execute(
            # a part must not depend on how heartbeats are spread over files and batches
            "with parts as (select session_id, player_id,"
            " cast(arg_min(number, (started_at, place, number)) as smallint) as team_id,"
            " min(started_at) as began, max(event_datetime) as last_at,"
            " any_value(ends_by) as ends_by from spans group by session_id, player_id),"
            " ended as (select parts.* exclude (last_at, ends_by),"
            f" least(coalesce(lasts.last_at, parts.last_at)"
            f"  + interval {beat // parts} microsecond, ends_by) as ended"
            " from parts left join lasts using (session_id, player_id))"
            f" select session_id, player_id, team_id, '{UNKNOWN_COUNTRY}' as country,"
            " began as started_at, ended as event_datetime,"
            " cast(epoch(ended) - epoch(began) as integer) as event_length_seconds,"
            " 0 as kills, 0 as deaths, cast(null as uuid) as party_id, cast(null as boolean) as won"
            " from ended order by began, session_id, player_id"
        ).to_arrow_table()


def let_wait(entries: Entries, dataset: str, day: date, *, derived: bool) -> Admitted:
    """No records: those of the day that are in ``staged`` wait for it, which is to come. Nothing is
    judged of sessions that are ``derived``: their heartbeats wait. The caller removes old verdicts
    first."""
    contract = DATASETS[dataset]
    if not (derived and dataset == "sessions"):
        mine = f"own_day = date '{day}'"
        if contract.entity and contract.time_column:
            mine = (
                f"{contract.entity} in (select id from starts where dataset = '{dataset}'"
                f" and day = date '{day}')"
            )
        entries.add_selected(
            "verdicts",
            f"select '{dataset}' as dataset, date '{day}' as day, false as unassigned, file_no,"
            " 0 as accepted, 0 as rejected, 0 as duplicates, count(*) as waiting from staged"
            f" where {mine} group by file_no",
        )
    return Admitted(contract.arrow_schema.empty_table())


def judge_unassigned(entries: Entries, dataset: str, day: date) -> None:
    """Rejects the records staged of the day that belong to no partition near it: their key, or
    session, begins on another day than their own (for sessions, nor on the day before). The caller
    removes old verdicts first."""
    contract = DATASETS[dataset]
    if contract.entity is None or contract.time_column is None:
        return
    near = "(starts.day = own_day)"
    reason = "duplicate_key"
    if dataset == "sessions":
        near = "(starts.day = own_day or starts.day = own_day - 1)"
        reason = "outside_session"
    judged = (
        f"select staged.*, own_day as day, '{reason}' as verdict from staged join starts"
        f" on starts.dataset = '{dataset}' and starts.id = {contract.entity}"
        f" where own_day = date '{day}' and not {near}"
    )
    recorded = [c.name for c in contract.columns]
    with _relation(entries.con, "judged", judged) as table:
        recorded = [c if c in table.column_names else "team_label" for c in recorded]
        _add_verdicts(entries, dataset, table, unassigned=True, recorded=recorded)


def _following(parts: pa.Table) -> pa.Table:
    """The parts, ordered by key and time, with ``follows``: whether each begins where those before
    it that are admitted have ended. What is rejected keeps nobody out."""
    times = (parts[name].cast(pa.int64()).to_pylist() for name in ("started_at", "event_datetime"))
    others = (parts[name].to_pylist() for name in ("part_of", "same_team", "copy", "late"))
    follows, of, ended = [], None, 0
    for start, end, key, same_team, copy, late in zip(*times, *others, strict=True):
        if key != of:
            of, ended = key, start
        follows.append(same_team and not copy and not late and start >= ended)
        if follows[-1]:
            ended = max(ended, end)
    return parts.append_column("follows", pa.array(follows, pa.bool_()))


@contextmanager
def _relation(con: duckdb.DuckDBPyConnection, name: str, query: str) -> Iterator[pa.Table]:
    """The query's result, as a relation of that name while the block runs."""
    table = con.execute(query).to_arrow_table()
    with registered(con, name, table):
        yield table


def record_sql(relation: str, columns: Iterable[str]) -> tuple[str, str]:
    """A row as JSON, as SQL, and the relation with what that needs. Ids are the studio's own;
    ``ids`` has ours beside them."""
    columns = list(columns)
    own, joins = dict.fromkeys(columns, ""), relation
    for name in columns:
        own[name] = f"{relation}.{name}"
        if name in KINDS:
            joins += (
                f" left join source_ids as of_{name} on of_{name}.kind = '{KINDS[name]}'"
                f" and of_{name}.id = {relation}.{name}"
            )
            own[name] = f"coalesce(of_{name}.source_id, cast({relation}.{name} as varchar))"
    ids = ", ".join(f"{name} := {relation}.{name}" for name in columns if name in KINDS)
    fields = ", ".join(f"{name} := {value}" for name, value in own.items())
    return f"cast(to_json(struct_pack({fields}, ids := struct_pack({ids}))) as varchar)", joins


def _add_verdicts(
    entries: Entries,
    dataset: str,
    judged: pa.Table,
    *,
    unassigned: bool,
    recorded: Iterable[str],
) -> None:
    """Adds the days' verdicts, from the relation ``judged``, to the register; rejected records are
    written with the ``recorded`` columns."""
    if not judged.num_rows:
        return
    of = f"'{dataset}' as dataset, day, {str(unassigned).lower()} as unassigned"
    entries.add_selected(
        "verdicts",
        f"select {of}, file_no, count(*) filter (verdict is null) as accepted,"
        " count(*) filter (verdict <> 'duplicate') as rejected,"
        " count(*) filter (verdict = 'duplicate') as duplicates, 0 as waiting"
        " from judged group by day, file_no",
    )
    if judged["verdict"].null_count == judged.num_rows:
        return
    record, named = record_sql("judged", recorded)
    entries.add_selected(
        "rejected",
        f"select {of}, file_no, row, verdict as reason, {record} as record from {named}"
        " where verdict is not null and verdict <> 'duplicate'",
    )
    entries.add_selected(
        "duplicates",
        f"select {of}, file_no, min(row) as first_row, max(row) as last_row"
        " from (select day, file_no, row, row - row_number() over ("
        "partition by day, file_no order by row)"
        "  as run from judged where verdict = 'duplicate') group by day, file_no, run",
    )
