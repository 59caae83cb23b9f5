-- One row is a player. Recency is counted to the last day of the player's batch, where no other day is
-- given: a batch is a window of observation, beyond which nobody of it is seen.
{{ config(materialized='incremental') }}

with numbered_sessions as (
    select
        player_id,
        platform,
        session_date,
        session_start,
        duration_seconds,
        row_number() over (
            partition by player_id order by session_start, session_id
        ) as session_number
    from {{ ref('stg_sessions') }}
    where {{ in_batches('load_batch_id') }}
),

play as (
    select
        player_id,
        max(case when session_number = 1 then platform end) as platform,
        min(session_start) as first_session_start,
        max(session_start) as last_session_start,
        max(session_date) as last_session_date,
        count(*) as sessions,
        count(distinct session_date) as active_days,
        sum(duration_seconds) as play_time_seconds
    from numbered_sessions
    group by player_id
),

observed as (
    select load_batch_id, max(session_date) as last_date
    from {{ ref('stg_sessions') }}
    where {{ in_batches('load_batch_id') }}
    group by load_batch_id
)

select
    players.player_id,
    players.country,
    players.language,
    players.difficulty,
    play.platform,
    players.first_seen_at,
    play.first_session_start,
    play.last_session_start,
    cast(coalesce(play.sessions, 0) as integer) as sessions,
    cast(coalesce(play.active_days, 0) as integer) as active_days,
    cast(coalesce(play.play_time_seconds, 0) as bigint) as play_time_seconds,
    cast(
        {{ dbt.datediff('play.last_session_date', as_of('observed.last_date'), 'day') }}
        as integer
    ) as recency_days,
    players.load_batch_id
from {{ ref('stg_players') }} as players
-- a player without a session stays, and fails the test of rows
left join play on players.player_id = play.player_id
left join observed on players.load_batch_id = observed.load_batch_id
where {{ in_batches('players.load_batch_id') }}
