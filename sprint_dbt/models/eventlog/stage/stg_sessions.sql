-- One row is a session. A time that is none becomes null here and fails the test of rows.
with typed as (
    select
        session_id,
        player_id,
        lower(trim(platform)) as platform,
        try_cast(session_start as {{ dbt.type_timestamp() }}) as session_start,
        try_cast(session_end as {{ dbt.type_timestamp() }}) as session_end,
        load_batch_id
    from {{ source('eventlog', 'raw_sessions') }}
)

select
    session_id,
    player_id,
    platform,
    cast(session_start as date) as session_date,
    session_start,
    session_end,
    cast({{ dbt.datediff('session_start', 'session_end', 'second') }} as integer) as duration_seconds,
    load_batch_id
from typed
