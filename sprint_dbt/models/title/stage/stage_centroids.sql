-- One row is a team at a beat: the mean position of its players that have a heartbeat in that beat.
{% set beat_microseconds, parts = beat_microseconds() %}
{% set since_start %}
    {{- epoch_microseconds('heartbeats.event_datetime') }} - session_clocks.session_start
{%- endset %}
{% set heartbeat_time %}
    {%- if parts == 1 %}
    session_clocks.session_start + {{ beat_microseconds }} * cast(
        floor(
            cast({{ since_start }} as double)
            / {{ beat_microseconds }}
        ) as bigint
    )
    {%- else %}
    {#- a beat's time is cut to the microsecond: the last beat whose time is not after the heartbeat's -#}
    session_clocks.session_start + cast(
        floor(
            {{ beat_microseconds }} * floor(
                cast({{ parts }} * ({{ since_start }} + 1) - 1 as double) / {{ beat_microseconds }}
            ) / {{ parts }}
        ) as bigint
    )
    {%- endif %}
{% endset %}

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
        -- two at one time: that is the key of the source, which is tested before this is built).
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

-- Of two heartbeats of a player in one beat the later counts. Only sessions that may have two pay
-- for finding it: over all heartbeats it would more than double this model's time.
counted_heartbeats as (
    select
        heartbeats.event_date,
        heartbeats.session_id,
        heartbeats.team_id,
        {{ heartbeat_time }} as beat_time,
        heartbeats.position_x,
        heartbeats.position_y,
        heartbeats.position_z
    from {{ ref('event_heartbeat') }} as heartbeats
    inner join session_clocks
        on heartbeats.session_id = session_clocks.session_id
        and heartbeats.event_date = session_clocks.event_date
    where {{ in_window('heartbeats.event_date') }}
        and session_clocks.is_regular

    union all

    select
        heartbeats.event_date,
        heartbeats.session_id,
        max_by(heartbeats.team_id, heartbeats.event_datetime) as team_id,
        {{ heartbeat_time }} as beat_time,
        max_by(heartbeats.position_x, heartbeats.event_datetime) as position_x,
        max_by(heartbeats.position_y, heartbeats.event_datetime) as position_y,
        max_by(heartbeats.position_z, heartbeats.event_datetime) as position_z
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
        {{ heartbeat_time }}
),

-- positions are decimals: their sum is a whole number of hundredths, whatever order they come in
position_sums as (
    select
        event_date,
        session_id,
        team_id,
        beat_time,
        round(cast(sum(position_x) as double) * 100) as x,
        round(cast(sum(position_y) as double) * 100) as y,
        round(cast(sum(position_z) as double) * 100) as z,
        count(*) as players
    from counted_heartbeats
    group by event_date, session_id, team_id, beat_time
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
