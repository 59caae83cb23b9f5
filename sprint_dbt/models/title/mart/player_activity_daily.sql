-- One row is a player's day.
with sessions as (
    select
        player_id,
        event_date,
        country,
        event_length_seconds,
        kills,
        deaths,
        row_number() over (
            partition by player_id, event_date order by started_at desc, session_id desc
        ) as recency
    from {{ ref('fact_session') }}
    where {{ in_window('event_date') }}
)

select
    player_id,
    event_date as calendar_date,
    -- where the player's last session of the day was
    max(case when recency = 1 then country end) as country,
    cast(sum(event_length_seconds) as bigint) as total_play_time_seconds,
    cast(count(*) as integer) as sessions_count,
    cast(sum(kills) as bigint) as total_kills,
    cast(sum(deaths) as bigint) as total_deaths,
    cast(sum(kills) as double) / nullif(sum(deaths), 0) as kill_death_ratio
from sessions
group by player_id, event_date
