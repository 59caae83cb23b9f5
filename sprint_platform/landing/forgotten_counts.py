"""What the register says of files, without the staged records of a player who is forgotten.

``gone`` is a temporary table of these records: the file and the batch that each is in, its row in
the file, its own day, its session or purchase, and whether the file has no other record of that
(``alone``). A file's counts still add up without them, also when a day is judged again.
"""

from __future__ import annotations

from uuid import UUID

import duckdb
import pyarrow as pa

from sprint_platform.landing.register import registered

GONE = pa.schema(
    {
        "file_no": pa.int64(), "dataset": pa.string(), "number": pa.int64(), "row": pa.int64(),
        "own_day": pa.date32(), "entity": pa.uuid(), "alone": pa.bool_(),
    }
)  # fmt: skip
# What became of each: it was rejected, or dropped as a copy (the register has their rows), waits
# for its session, or is in the partition of its session's day, or of its own.
_JUDGED = """
create or replace temp table judged as
select
    gone.*,
    case
        when rejected.row is not null then 'rejected'
        when duplicates.file_no is not null then 'duplicate'
        when waiting.file_no is not null or to_come.day is not null then 'waiting'
        else 'accepted'
    end as verdict,
    case
        when rejected.row is not null then rejected.day
        when duplicates.file_no is not null then duplicates.day
        when waiting.file_no is not null then gone.own_day
        else coalesce(starts.day, gone.own_day)
    end as day,
    coalesce(rejected.unassigned, duplicates.unassigned, waiting.file_no is not null) as unassigned
from gone
left join rejected
    on rejected.file_no = gone.file_no
    and rejected.dataset = gone.dataset
    and rejected.row = gone.row
    and rejected.day is not null
left join duplicates
    on duplicates.file_no = gone.file_no
    and duplicates.dataset = gone.dataset
    and gone.row between duplicates.first_row and duplicates.last_row
left join (
    select distinct file_no, day, session_id
    from pending
    where player_id = $player and not far
) as waiting
    on gone.dataset = 'heartbeats'
    and waiting.file_no = gone.file_no
    and waiting.day = gone.own_day
    and waiting.session_id = gone.entity
left join starts
    on starts.id = gone.entity
    and starts.dataset = case gone.dataset when 'heartbeats' then 'sessions' else gone.dataset end
left join (
    select distinct dataset, day
    from verdicts
    where waiting > 0 and not unassigned
) as to_come
    on to_come.dataset = gone.dataset
    and to_come.day = coalesce(starts.day, gone.own_day)
"""
_LESS = (
    # a day's verdicts on a file may be several rows
    """
    create or replace temp table recounted as
    select
        file_no,
        dataset,
        day,
        unassigned,
        cast(sum(accepted) as bigint) as accepted,
        cast(sum(rejected) as bigint) as rejected,
        cast(sum(duplicates) as bigint) as duplicates,
        cast(sum(waiting) as bigint) as waiting
    from (
        select file_no, dataset, day, unassigned, accepted, rejected, duplicates, waiting
        from verdicts
        union all
        select
            file_no,
            dataset,
            day,
            unassigned,
            -count(*) filter (verdict = 'accepted'),
            -count(*) filter (verdict = 'rejected'),
            -count(*) filter (verdict = 'duplicate'),
            -count(*) filter (verdict = 'waiting')
        from judged
        -- nothing is judged of sessions that are derived from heartbeats
        where (file_no, dataset) in (select file_no, dataset from file_records)
        group by file_no, dataset, day, unassigned
    )
    where (file_no, dataset) in (select file_no, dataset from gone)
    group by file_no, dataset, day, unassigned
    """,
    "delete from verdicts where (file_no, dataset) in (select file_no, dataset from gone)",
    """
    insert into verdicts by name
    select * from recounted where accepted + rejected + duplicates + waiting > 0
    """,
    """
    update file_records set rows_read = rows_read - less.records
    from (select file_no, dataset, count(*) as records from gone group by file_no, dataset) as less
    where file_records.file_no = less.file_no and file_records.dataset = less.dataset
    """,
    """
    update batches set rows = rows - less.records
    from (
        select file_no, dataset, number, count(*) as records
        from gone
        group by file_no, dataset, number
    ) as less
    where batches.file_no = less.file_no
        and batches.dataset = less.dataset
        and batches.number = less.number
    """,
    "delete from batches where rows = 0",
)
# Ranges of copies without these rows.
_DUPLICATES = (
    """
    create or replace temp table copies as
    select file_no, dataset, day, unassigned, unnest(range(first_row, last_row + 1)) as row
    from duplicates
    where (file_no, dataset) in (select file_no, dataset from judged where verdict = 'duplicate')
    """,
    """
    delete from duplicates
    where (file_no, dataset) in (select file_no, dataset from judged where verdict = 'duplicate')
    """,
    """
    insert into duplicates by name
    select file_no, dataset, day, unassigned, min(row) as first_row, max(row) as last_row
    from (
        select
            *,
            row - row_number() over (
                partition by file_no, dataset, day, unassigned order by row
            ) as run
        from copies
        anti join gone using (file_no, dataset, row)
    )
    group by file_no, dataset, day, unassigned, run
    """,
)
# A session is also that of others, mostly.
_NAMES = (
    """
    delete from rejected
    where day is not null
        and (file_no, dataset, row) in (select file_no, dataset, row from gone)
    """,
    """
    delete from mentions
    where (file_no, dataset, id) in (select file_no, dataset, entity from gone where alone)
    """,
    """
    delete from starts
    where (dataset, id) in (select dataset, entity from gone)
        and (dataset, id) not in (select dataset, id from mentions)
    """,
    "delete from pending where player_id = $player",
    """
    delete from source_ids
    where (kind = 'player' and id = $player) or (
        id in (select entity from gone)
        and id not in (select id from starts)
        and id not in (select session_id from pending)
    )
    """,
    """
    delete from team_labels
    where session_id in (select entity from gone)
        and session_id not in (select id from starts where dataset = 'sessions')
    """,
)


def forget_counts(con: duckdb.DuckDBPyConnection, gone: pa.Table, player: UUID) -> None:
    """Takes the player's staged records ``gone`` (``GONE``), and what names the player, from the
    register, in the caller's transaction."""
    parameters = {"player": player}
    with registered(con, "gone_records", gone):
        con.execute("create or replace temp table gone as from gone_records")
    con.execute(_JUDGED, parameters)
    for statement in (*_LESS, *_DUPLICATES, *_NAMES):
        con.execute(statement, parameters if "$player" in statement else None)


def clear_rejects(con: duckdb.DuckDBPyConnection, texts: tuple[str, ...]) -> list[str]:
    """Removes the text of rejected records that have one of the ``texts`` as a word; that they were
    rejected, and why, stays. Returns the names of their files. In the caller's transaction."""
    border = "[^0-9A-Za-z_-]"
    named = (
        "exists (select 1 from unnest($texts) as texts(name) where regexp_matches({column},"
        f" '(^|{border})' || regexp_escape(name) || '($|{border})'))"
    )
    parameters = {"texts": list(texts)}
    record, detail = named.format(column="record"), named.format(column="detail")
    found = con.execute(
        "select distinct files.name from rejected join files using (file_no) where " + record,
        parameters,
    ).fetchall()
    con.execute(f"update rejected set record = null where {record}", parameters)
    con.execute(f"update refused set detail = null where {detail}", parameters)
    return [name for (name,) in found]
