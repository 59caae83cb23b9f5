-- The funnel ends with the sessions that bought. A row here is a day where the clickstream has others.
{{ config(meta={'dagster': {'ref': {'name': 'conversion_funnel'}}}) }}

select event_date, sum(bought) as sessions_that_bought, sum(counted) as purchases
from (
    select event_date, count(distinct session_id) as bought, 0 as counted
    from {{ ref('clickstream') }}
    where {{ in_window('event_date') }}
        and event_type = 'purchase'
    group by event_date
    union all
    select event_date, 0 as bought, purchases as counted
    from {{ ref('conversion_funnel') }}
    where {{ in_window('event_date') }}
) as both_sides
group by event_date
having sum(bought) <> sum(counted)
