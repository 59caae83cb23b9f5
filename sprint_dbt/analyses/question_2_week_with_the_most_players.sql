-- 2. Which week had the most players?
-- ISO weeks, named by their Monday; several where they tie.
with weeks as (
    select
        cast(date_trunc('week', calendar_date) as date) as year_week,
        count(distinct player_id) as players
    from {{ ref('player_activity_daily') }}
    group by cast(date_trunc('week', calendar_date) as date)
),

ranked_weeks as (
    select
        year_week,
        players,
        rank() over (order by players desc) as place
    from weeks
)

select
    year_week,
    players
from ranked_weeks
where place = 1
order by year_week
