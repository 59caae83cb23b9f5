-- How long players sit down for: a sitting is a run of a player's matches less than 10 minutes apart, from the
-- first one's start to the last one's end.
{%- set first_day = "date '" ~ var('first_day', '2025-01-01') ~ "'" %}
{%- set last_day = "date '" ~ var('last_day', '2025-12-31') ~ "'" %}

with matches as (
    select
        player_id,
        started_at,
        event_datetime as ended_at,
        max(event_datetime) over (
            partition by player_id
            order by started_at, event_datetime
            rows between unbounded preceding and 1 preceding
        ) as ended_before
    from {{ source('raw', 'event_session') }}
    where event_date between {{ first_day }} and {{ last_day }}
),

numbered as (
    select
        *,
        count(*) filter (ended_before is null or started_at >= ended_before + interval 10 minutes) over (
            partition by player_id
            order by started_at, ended_at
            rows between unbounded preceding and current row
        ) as sitting
    from matches
),

sittings as (
    select epoch(max(ended_at) - min(started_at)) / 60 as minutes
    from numbered
    group by player_id, sitting
)

select
    median(minutes) as sitting_median,
    count(*) as sitting_median_of,
    quantile_cont(minutes, 0.95) / nullif(median(minutes), 0) as sitting_p95,
    count(*) as sitting_p95_of
from sittings
