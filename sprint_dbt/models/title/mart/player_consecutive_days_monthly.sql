-- One row is a player's month, with the longest run of days in it that the player played.
with days as (
    select
        player_id,
        calendar_date,
        country,
        cast({{ dbt.date_trunc('month', 'calendar_date') }} as date) as year_month
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date', 'month') }}
),

-- within a run of consecutive days the date and its row number grow together
numbered_days as (
    select
        *,
        {{ dbt.datediff("year_month", "calendar_date", "day") }}
        - row_number() over (partition by player_id, year_month order by calendar_date) as run
    from days
),

runs as (
    select
        player_id,
        year_month,
        run,
        count(*) as days_played,
        max(calendar_date) as last_day,
        max_by(country, calendar_date) as country
    from numbered_days
    group by player_id, year_month, run
)

select
    player_id,
    year_month,
    -- where the player was on the month's last day of play
    max_by(country, last_day) as country,
    cast(max(days_played) as integer) as max_consecutive_days_played
from runs
group by player_id, year_month
