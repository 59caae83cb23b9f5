-- Whoever sends a heartbeat plays; and in a simulated title whoever plays long enough for a heartbeat
-- sends one (a studio may deliver sessions alone, and lose heartbeats). A row here is a player's day
-- that has only one of the two.
{{ config(meta={'dagster': {'ref': {'name': 'player_activity_daily'}}}) }}

with activity as (
    select player_id, calendar_date, total_play_time_seconds, sessions_count
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date') }}
),

heartbeats as (
    select player_id, event_date, count(*) as heartbeats
    from {{ ref('event_heartbeat') }}
    where {{ in_window('event_date') }}
    group by player_id, event_date
)

select
    coalesce(activity.player_id, heartbeats.player_id) as player_id,
    coalesce(activity.calendar_date, heartbeats.event_date) as calendar_date,
    activity.total_play_time_seconds,
    heartbeats.heartbeats
from activity
full outer join heartbeats
    on activity.player_id = heartbeats.player_id
    and activity.calendar_date = heartbeats.event_date
where activity.player_id is null
    {%- if not is_landed() %}
    or (
        heartbeats.player_id is null
        -- then at least one of the day's sessions is as long as a heartbeat
        and activity.total_play_time_seconds
            >= activity.sessions_count * {{ env_var('SPRINT_HEARTBEAT_SECONDS', '30') | int }}
    )
    {%- endif %}
