-- One row is a team at a beat: the mean position of its players that have a heartbeat in that beat.
{% set beat_microseconds, parts = beat_microseconds() %}

with session_records as (
    select event_date, session_id, min(started_at) as started_at
    from {{ ref('fact_session') }}
    where {{ in_window('event_date') }}
    group by event_date, session_id
),

session_heartbeats as (
    select
        event_date,
        session_id,
        min(event_datetime) as first_heartbeat,
        -- Where a session's heartbeats all lie whole beats apart, no player has two in one beat (nor
        -- two at one time: that is the key of the source, which is tested before this is built), and
        -- those of a beat have one time.
        {%- if parts == 1 %}
        min(mod({{ epoch_microseconds('event_datetime') }}, {{ beat_microseconds }}))
        = max(mod({{ epoch_microseconds('event_datetime') }}, {{ beat_microseconds }})) as is_regular
        {%- else %}
        1 = 0 as is_regular
        {%- endif %}
    from {{ ref('event_heartbeat') }}
    where {{ in_window('event_date') }}
    group by event_date, session_id
),

-- a session starts with its earliest record; without any, with its first heartbeat
session_clocks as (
    select
        session_heartbeats.event_date,
        session_heartbeats.session_id,
        session_heartbeats.is_regular,
        {{ epoch_microseconds('coalesce(session_records.started_at, session_heartbeats.first_heartbeat)') }}
            as session_start
    from session_heartbeats
    left join session_records
        on session_heartbeats.session_id = session_records.session_id
        and session_heartbeats.event_date = session_records.event_date
),

irregular_sessions as (
    select event_date, session_id
    from session_clocks
    where not is_regular
),

-- positions are decimals: their sum is a whole number of hundredths, whatever order they come in
team_moments as (
    select
        heartbeats.event_date,
        heartbeats.session_id,
        heartbeats.team_id,
        heartbeats.event_datetime,
        {%- for axis in ['x', 'y', 'z'] %}
        sum(heartbeats.position_{{ axis }}) as {{ axis }},
        {%- endfor %}
        count(*) as players
    from {{ ref('event_heartbeat') }} as heartbeats
    left join irregular_sessions
        on heartbeats.session_id = irregular_sessions.session_id
        and heartbeats.event_date = irregular_sessions.event_date
    where {{ in_window('heartbeats.event_date') }}
        and irregular_sessions.session_id is null
    group by
        heartbeats.event_date,
        heartbeats.session_id,
        heartbeats.team_id,
        heartbeats.event_datetime
),

-- Of two heartbeats of a player in one beat the later counts. Only sessions that may have two pay
-- for finding it, and for giving each heartbeat its beat before it is summed: over all heartbeats
-- that would more than double this model's time.
counted_heartbeats as (
    select
        heartbeats.event_date,
        heartbeats.session_id,
        {{ beat_time('heartbeats.event_datetime', 'session_clocks.session_start') }} as beat_time,
        max_by(heartbeats.team_id, heartbeats.event_datetime) as team_id,
        {%- for axis in ['x', 'y', 'z'] %}
        max_by(heartbeats.position_{{ axis }}, heartbeats.event_datetime) as position_{{ axis }}
            {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('event_heartbeat') }} as heartbeats
    inner join session_clocks
        on heartbeats.session_id = session_clocks.session_id
        and heartbeats.event_date = session_clocks.event_date
    where {{ in_window('heartbeats.event_date') }}
        and not session_clocks.is_regular
    group by
        heartbeats.event_date,
        heartbeats.session_id,
        heartbeats.player_id,
        {{ beat_time('heartbeats.event_datetime', 'session_clocks.session_start') }}
),

beat_sums as (
    select
        team_moments.event_date,
        team_moments.session_id,
        team_moments.team_id,
        {{ beat_time('team_moments.event_datetime', 'session_clocks.session_start') }} as beat_time,
        team_moments.x,
        team_moments.y,
        team_moments.z,
        team_moments.players
    from team_moments
    inner join session_clocks
        on team_moments.session_id = session_clocks.session_id
        and team_moments.event_date = session_clocks.event_date

    union all

    select
        event_date,
        session_id,
        team_id,
        beat_time,
        {%- for axis in ['x', 'y', 'z'] %}
        sum(position_{{ axis }}) as {{ axis }},
        {%- endfor %}
        count(*) as players
    from counted_heartbeats
    group by event_date, session_id, team_id, beat_time
),

position_sums as (
    select
        event_date,
        session_id,
        team_id,
        beat_time,
        {%- for axis in ['x', 'y', 'z'] %}
        round(cast({{ axis }} as double) * 100) as {{ axis }},
        {%- endfor %}
        players
    from beat_sums
)

select
    session_id,
    team_id,
    {{ timestamp_of_epoch_microseconds('beat_time') }} as event_datetime,
    {%- for axis in ['x', 'y', 'z'] %}
    {{ rounded_quotient('(100 * ' ~ axis ~ ')', 'players') }} / 10000 as centroid_{{ axis }},
    {%- endfor %}
    cast(players as integer) as players,
    event_date
from position_sums
