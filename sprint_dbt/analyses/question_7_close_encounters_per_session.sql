-- 7. How many close encounters per session were there on each day of a month?
-- A session in which no teams met counts, as 0.
{%- set month = "cast('" ~ var('month', '2025-01') ~ "-01' as date)" %}
select
    calendar_day,
    count(*) as sessions,
    cast(sum(close_encounter_count) as bigint) as close_encounters,
    avg(close_encounter_count) as close_encounters_per_session
from {{ ref('session_close_encounters_daily') }}
where
    calendar_day >= {{ month }}
    and calendar_day < cast({{ month }} + interval '1 month' as date)
group by calendar_day
order by calendar_day
