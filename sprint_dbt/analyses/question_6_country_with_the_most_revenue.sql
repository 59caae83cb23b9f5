-- 6. Which country brought the most revenue in each week?
-- ISO weeks, named by their Monday; several countries where they tie.
with ranked_countries as (
    select
        year_week,
        country,
        total_revenue,
        rank() over (partition by year_week order by total_revenue desc) as place
    from {{ ref('country_weekly_revenue') }}
)

select
    year_week,
    country,
    total_revenue
from ranked_countries
where place = 1
order by year_week, country
