-- How many of players' matches start in the evening where they are (17:00 to 21:59, per cent), by their time zones.
-- A player whose zone is not a known one does not count.
{%- set first_day = "date '" ~ var('first_day', '2025-01-01') ~ "'" %}
{%- set last_day = "date '" ~ var('last_day', '2025-12-31') ~ "'" %}

with matches as (
    select
        sessions.started_at at time zone 'UTC' at time zone players.time_zone as started_at
    from {{ source('raw', 'event_session') }} as sessions
    inner join {{ source('dim', 'dim_players') }} as players on sessions.player_id = players.player_id
    where sessions.event_date between {{ first_day }} and {{ last_day }}
        and players.time_zone in (select name from pg_timezone_names())
)

select
    100.0 * count(*) filter (hour(started_at) between 17 and 21) / nullif(count(*), 0) as evening,
    count(*) as evening_of
from matches
