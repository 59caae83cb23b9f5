-- One row is a team at a beat: the mean position of its players that have a heartbeat in that beat.
{% set beat_microseconds, parts = beat_microseconds() %}
{#- The most selective keys come first: engines compare them in order. -#}

with session_records as (
    select session_id, event_date, min(started_at) as started_at
    from {{ ref('fact_session') }}
    where {{ in_window('event_date') }}
    group by session_id, event_date
),

session_heartbeats as (
    select
        session_id,
        event_date,
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
    group by session_id, event_date
),

-- a session starts with its earliest record; without any, with its first heartbeat
session_starts as (
    select
        session_heartbeats.session_id,
        session_heartbeats.event_date,
        session_heartbeats.is_regular,
        session_heartbeats.first_heartbeat,
        {{ epoch_microseconds('coalesce(session_records.started_at, session_heartbeats.first_heartbeat)') }}
            as session_start
    from session_heartbeats
    left join session_records
        on session_heartbeats.session_id = session_records.session_id
        and session_heartbeats.event_date = session_records.event_date
),

session_clocks as (
    select
        session_id,
        event_date,
        is_regular,
        session_start,
        {{ epoch_microseconds('first_heartbeat') }} - ({{ beat_time('first_heartbeat', 'session_start') }})
            as first_delay
    from session_starts
),

-- Those whose heartbeats are not all at the times of its beats. Of others, as of all that are
-- simulated, each heartbeat's time is its beat's, and nothing is looked up for it.
other_clocks as (
    select *
    from session_clocks
    where not is_regular or first_delay <> 0
),

-- positions in whole hundredths, as doubles: their sum is exact in whatever order they come
team_moments as (
    select
        heartbeats.session_id,
        heartbeats.event_datetime,
        heartbeats.team_id,
        heartbeats.event_date,
        {%- for axis in ['x', 'y', 'z'] %}
        sum(cast(100 * heartbeats.position_{{ axis }} as double)) as {{ axis }},
        {%- endfor %}
        count(*) as players
    from {{ ref('event_heartbeat') }} as heartbeats
    left join (select session_id, event_date from other_clocks where not is_regular) as irregular
        on heartbeats.session_id = irregular.session_id
        and heartbeats.event_date = irregular.event_date
    where {{ in_window('heartbeats.event_date') }}
        and irregular.session_id is null
    group by
        heartbeats.session_id,
        heartbeats.event_datetime,
        heartbeats.team_id,
        heartbeats.event_date
),

-- Of two heartbeats of a player in one beat the later counts. Only sessions that may have two pay
-- for finding it, and for giving each heartbeat its beat before it is summed: over all heartbeats
-- that would more than double this model's time.
counted_heartbeats as (
    select
        heartbeats.session_id,
        heartbeats.event_date,
        {{ beat_time('heartbeats.event_datetime', 'irregular.session_start') }} as beat_time,
        max_by(heartbeats.team_id, heartbeats.event_datetime) as team_id,
        {%- for axis in ['x', 'y', 'z'] %}
        max_by(heartbeats.position_{{ axis }}, heartbeats.event_datetime) as position_{{ axis }}
            {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('event_heartbeat') }} as heartbeats
    inner join other_clocks as irregular
        on heartbeats.session_id = irregular.session_id
        and heartbeats.event_date = irregular.event_date
    where {{ in_window('heartbeats.event_date') }}
        and not irregular.is_regular
    group by
        heartbeats.session_id,
        heartbeats.event_date,
        heartbeats.player_id,
        {{ beat_time('heartbeats.event_datetime', 'irregular.session_start') }}
),

position_sums as (
    select
        team_moments.session_id,
        team_moments.team_id,
        -- all heartbeats of a regular session come equally long after their beats
        case
            when late.first_delay is null then team_moments.event_datetime
            else {{ timestamp_of_epoch_microseconds(
                epoch_microseconds('team_moments.event_datetime') ~ ' - late.first_delay'
            ) }}
        end as event_datetime,
        team_moments.x,
        team_moments.y,
        team_moments.z,
        team_moments.players,
        team_moments.event_date
    from team_moments
    left join (select session_id, event_date, first_delay from other_clocks where is_regular) as late
        on team_moments.session_id = late.session_id
        and team_moments.event_date = late.event_date

    union all

    select
        session_id,
        team_id,
        {{ timestamp_of_epoch_microseconds('beat_time') }} as event_datetime,
        {%- for axis in ['x', 'y', 'z'] %}
        sum(cast(100 * position_{{ axis }} as double)) as {{ axis }},
        {%- endfor %}
        count(*) as players,
        event_date
    from counted_heartbeats
    group by session_id, beat_time, team_id, event_date
)

select
    session_id,
    team_id,
    event_datetime,
    {%- for axis in ['x', 'y', 'z'] %}
    {{ rounded_quotient('(100 * ' ~ axis ~ ')', 'players') }} / 10000 as centroid_{{ axis }},
    {%- endfor %}
    cast(players as integer) as players,
    event_date
from position_sums
