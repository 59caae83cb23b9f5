-- How active players spread over a month, a week and a launch: their share of the month's, the weekend's surplus
-- (per cent), and what is left of the launch week's peak on day 30.
-- Only whole weeks after the launch week count, only a launch week of which no day is missing, and only days whose
-- 28 days before are known.
{%- set launch = "date '" ~ var('launch_date', '2025-01-01') ~ "'" %}
{%- set first_day = "date '" ~ var('first_day', '2025-01-01') ~ "'" %}
{%- set last_day = "date '" ~ var('last_day', '2025-12-31') ~ "'" %}

with days as (
    select
        calendar_date,
        sum(active_players) as active,
        case when count(*) = count(monthly_active_players) then sum(monthly_active_players) end as monthly
    from {{ ref('kpi_daily') }}
    where calendar_date between {{ first_day }} and {{ last_day }}
    group by calendar_date
),

monthly as (
    select avg(active / monthly) as stickiness, count(*) as days
    from days
    where monthly > 0 and calendar_date >= greatest({{ launch }}, {{ first_day }}) + interval 2 months
),

weeks as (
    select
        sum(active) filter (isodow(calendar_date) > 5) as weekend,
        sum(active) filter (isodow(calendar_date) <= 5) as weekdays
    from days
    group by date_trunc('week', calendar_date)
    having count(*) = 7 and min(calendar_date) >= {{ launch }} + 7
),

weekly as (
    select
        100.0 * ((sum(weekend) / 2) / nullif(sum(weekdays) / 5, 0) - 1) as surplus,
        count(*) as weeks
    from weeks
),

launch as (
    select
        max(active) filter (calendar_date < {{ launch }} + 7) as peak,
        max(active) filter (calendar_date = {{ launch }} + 30) as day_30
    from days
    where calendar_date between {{ launch }} and {{ launch }} + 30
    having count(*) filter (calendar_date < {{ launch }} + 7) = 7
)

select
    monthly.stickiness,
    monthly.days as stickiness_of,
    weekly.surplus as weekend,
    weekly.weeks as weekend_of,
    launch.day_30 / nullif(launch.peak, 0) as launch_decay,
    case when launch.day_30 is null then 0 else launch.peak end as launch_decay_of
from monthly
cross join weekly
left join launch on true
