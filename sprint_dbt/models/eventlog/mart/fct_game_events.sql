-- One row is an event, in the one session of its player that it lies in. Of 22 million events and a
-- million sessions this equi-join with a range costs DuckDB 2.5 s beside 24 s of writing the rows; an
-- as-of join cost 33 s, and numbering the events of a session 50 s.
{{ config(materialized='incremental') }}

select
    events.event_id,
    -- an event that lies in no session stays, and fails the test of rows
    sessions.session_id,
    events.player_id,
    events.event_name,
    events.event_time,
    cast(
        {{ dbt.datediff('sessions.session_start', 'events.event_time', 'second') }} as integer
    ) as seconds_since_session_start,
    events.platform,
    events.game_version,
    events.playthrough,
    events.chapter,
    events.chapter_name,
    events.attempt,
    events.checkpoint,
    events.place,
    events.weather,
    events.enemy,
    events.weapon,
    events.damage,
    events.headshot,
    events.item,
    events.quantity,
    events.seconds,
    events.score,
    events.load_batch_id
from {{ ref('stg_game_events') }} as events
left join {{ ref('stg_sessions') }} as sessions
    on events.player_id = sessions.player_id
    and events.load_batch_id = sessions.load_batch_id
    -- both ends are the session's: it starts and closes with an event
    and events.event_time >= sessions.session_start
    and events.event_time <= sessions.session_end
where {{ in_batches('events.load_batch_id') }}
