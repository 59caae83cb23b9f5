-- A player's lifetime is the sum of the player's days. A row here is a player whose totals, first or
-- last day differ from the daily activity, or who is in only one of the two.
{{ config(meta={'dagster': {'ref': {'name': 'player_stats_lifetime'}}}) }}

with touched_players as (
    select player_id
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date') }}
    union
    select player_id
    from {{ ref('player_stats_lifetime') }}
    where {{ span_meets_window('first_played', 'last_played') }}
),

lifetimes as (
    select player_id, total_kills, total_deaths, first_played, last_played
    from {{ ref('player_stats_lifetime') }}
    where player_id in (select player_id from touched_players)
),

days as (
    select
        player_id,
        sum(total_kills) as total_kills,
        sum(total_deaths) as total_deaths,
        min(calendar_date) as first_played,
        max(calendar_date) as last_played
    from {{ ref('player_activity_daily') }}
    where player_id in (select player_id from touched_players)
    group by player_id
)

select
    coalesce(lifetimes.player_id, days.player_id) as player_id,
    lifetimes.total_kills,
    days.total_kills as days_total_kills,
    lifetimes.total_deaths,
    days.total_deaths as days_total_deaths
from lifetimes
full outer join days on lifetimes.player_id = days.player_id
where lifetimes.player_id is null
    or days.player_id is null
    or lifetimes.total_kills <> days.total_kills
    or lifetimes.total_deaths <> days.total_deaths
    or lifetimes.first_played <> days.first_played
    or lifetimes.last_played <> days.last_played
