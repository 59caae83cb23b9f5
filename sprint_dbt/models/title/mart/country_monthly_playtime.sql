-- One row is a country's month.
select
    country,
    cast({{ dbt.date_trunc('month', 'calendar_date') }} as date) as year_month,
    cast(sum(total_play_time_seconds) as bigint) as total_play_time_seconds
from {{ ref('player_activity_daily') }}
where {{ in_window('calendar_date', 'month') }}
group by country, cast({{ dbt.date_trunc('month', 'calendar_date') }} as date)
