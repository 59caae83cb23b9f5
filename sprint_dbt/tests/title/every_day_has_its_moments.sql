-- A day with sessions has 288 moments, and its peak is that of the largest. A row here is a day that has
-- not, or that only the mart or only the sessions have.
{{ config(meta={'dagster': {'ref': {'name': 'concurrency_5_minutes'}}}) }}

with mart as (
    select
        calendar_date,
        count(*) as moments,
        max(players_online) as most_online,
        min(day_peak) as lowest_peak,
        max(day_peak) as highest_peak
    from {{ ref('concurrency_5_minutes') }}
    where {{ in_window('calendar_date') }}
    group by calendar_date
),

days as (
    select distinct event_date
    from {{ ref('fact_session') }}
    where {{ in_window('event_date') }}
)

select coalesce(mart.calendar_date, days.event_date) as calendar_date, mart.moments, mart.most_online
from mart
full outer join days on mart.calendar_date = days.event_date
where mart.calendar_date is null
    or days.event_date is null
    or mart.moments <> 288
    or mart.most_online <> mart.lowest_peak
    or mart.most_online <> mart.highest_peak
