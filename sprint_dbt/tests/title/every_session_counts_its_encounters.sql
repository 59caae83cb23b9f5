-- Every session has a row, also where no teams met, and nothing else has: or encounters per session
-- are too many. A row here is a session that only the mart, or only the records and heartbeats have.
{{ config(meta={'dagster': {'ref': {'name': 'session_close_encounters_daily'}}}) }}

with sessions as (
    select session_id, event_date
    from {{ ref('fact_session') }}
    where {{ in_window('event_date') }}
    union
    select session_id, event_date
    from {{ ref('stage_centroids') }}
    where {{ in_window('event_date') }}
),

mart as (
    select session_id, calendar_day
    from {{ ref('session_close_encounters_daily') }}
    where {{ in_window('calendar_day') }}
)

select
    coalesce(sessions.session_id, mart.session_id) as session_id,
    coalesce(sessions.event_date, mart.calendar_day) as calendar_day,
    case when mart.session_id is null then 'has no row' else 'is no session' end as fault
from sessions
full outer join mart
    on sessions.session_id = mart.session_id
    and sessions.event_date = mart.calendar_day
where sessions.session_id is null
    or mart.session_id is null
