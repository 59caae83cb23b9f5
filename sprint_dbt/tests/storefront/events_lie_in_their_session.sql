-- Every event lies in its session, which is delivered on the same day. A row here is an event that does
-- not.
{{ config(meta={'dagster': {'ref': {'name': 'clickstream'}}}) }}

select
    events.session_id,
    events.sequence_number,
    events.occurred_at,
    sessions.started_at,
    sessions.ended_at
from {{ ref('clickstream') }} as events
left join {{ ref('sessions') }} as sessions
    on events.session_id = sessions.session_id
    and events.event_date = sessions.event_date
where {{ in_window('events.event_date') }}
    and (
        sessions.session_id is null
        or events.occurred_at < sessions.started_at
        or events.occurred_at > sessions.ended_at
    )
