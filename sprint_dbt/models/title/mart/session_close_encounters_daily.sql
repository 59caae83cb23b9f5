-- One row is a session, also one in which no teams met.
with sessions as (
    select session_id, event_date as calendar_day
    from {{ ref('fact_session') }}
    where {{ in_window('event_date') }}
    union
    -- those that have heartbeats only; centroids are several times fewer than heartbeats
    select session_id, event_date as calendar_day
    from {{ ref('stage_centroids') }}
    where {{ in_window('event_date') }}
),

sessions_with_encounters as (
    select
        session_id,
        calendar_day,
        sum(daily_encounter_count) as close_encounter_count,
        sum(total_encounter_seconds) as total_encounter_seconds
    from {{ ref('encounter_summary_daily') }}
    where {{ in_window('calendar_day') }}
    group by session_id, calendar_day
)

select
    sessions.session_id,
    sessions.calendar_day,
    cast(coalesce(met.close_encounter_count, 0) as integer) as close_encounter_count,
    cast(coalesce(met.total_encounter_seconds, 0) as {{ seconds_type() }})
        as total_encounter_seconds
from sessions
left join sessions_with_encounters as met
    on sessions.session_id = met.session_id
    and sessions.calendar_day = met.calendar_day
