-- A month's longest run of days is at least one day and at most the days that the player played in it
-- (hence at most the month's). A row here breaks that, or is a player's month that only the mart or
-- only the daily activity has.
{{ config(meta={'dagster': {'ref': {'name': 'player_consecutive_days_monthly'}}}) }}

with played as (
    select
        player_id,
        cast({{ dbt.date_trunc('month', 'calendar_date') }} as date) as year_month,
        count(distinct calendar_date) as days_played
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date', 'month') }}
    group by player_id, cast({{ dbt.date_trunc('month', 'calendar_date') }} as date)
),

streaks as (
    select player_id, year_month, max_consecutive_days_played
    from {{ ref('player_consecutive_days_monthly') }}
    where {{ in_window('year_month', 'month') }}
)

select
    coalesce(played.player_id, streaks.player_id) as player_id,
    coalesce(played.year_month, streaks.year_month) as year_month,
    played.days_played,
    streaks.max_consecutive_days_played
from played
full outer join streaks
    on played.player_id = streaks.player_id
    and played.year_month = streaks.year_month
where played.player_id is null
    or streaks.player_id is null
    or streaks.max_consecutive_days_played < 1
    or streaks.max_consecutive_days_played > played.days_played
