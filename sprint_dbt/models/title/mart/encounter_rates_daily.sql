-- One row is a day with sessions.
with session_lengths as (
    select
        session_id,
        event_date,
        max({{ epoch_seconds('event_datetime') }}) - min({{ epoch_seconds('started_at') }}) as seconds
    from {{ ref('fact_session') }}
    where {{ in_window('event_date') }}
    group by session_id, event_date
)

select
    sessions.calendar_day,
    cast(count(*) as integer) as sessions,
    cast(sum(sessions.close_encounter_count) as bigint) as encounters,
    cast(coalesce(sum(lengths.seconds), 0) as bigint) as session_seconds,
    cast(sum(sessions.total_encounter_seconds) as {{ seconds_type() }})
        as encounter_seconds,
    cast(sum(sessions.close_encounter_count) as double) / count(*) as encounters_per_session,
    -- of the sessions whose length is known
    cast(
        3600 * sum(case when lengths.seconds is not null then sessions.close_encounter_count end) as double
    ) / nullif(sum(lengths.seconds), 0) as encounters_per_session_hour
from {{ ref('session_close_encounters_daily') }} as sessions
left join session_lengths as lengths
    on sessions.session_id = lengths.session_id
    and sessions.calendar_day = lengths.event_date
where {{ in_window('sessions.calendar_day') }}
group by sessions.calendar_day
