-- 3. Which country had the most play time in a month?
-- Several where they tie.
with ranked_countries as (
    select
        year_month,
        country,
        total_play_time_seconds,
        rank() over (order by total_play_time_seconds desc) as place
    from {{ ref('country_monthly_playtime') }}
    where year_month = cast('{{ var("month", "2025-01") }}-01' as date)
)

select
    year_month,
    country,
    total_play_time_seconds as play_time_seconds,
    round(cast(total_play_time_seconds as double) / 3600, 2) as play_time_hours
from ranked_countries
where place = 1
order by country
