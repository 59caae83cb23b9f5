-- A week's revenue is what its purchases cost, whether or not their players are known. A row here is a
-- week where the mart and the purchases differ.
{{ config(meta={'dagster': {'ref': {'name': 'country_weekly_revenue'}}}) }}

with purchases as (
    select
        cast({{ dbt.date_trunc('week', 'event_date') }} as date) as year_week,
        sum(purchase_price) as revenue
    from {{ source('raw', 'event_transaction') }}
    where {{ in_window('event_date', 'week') }}
    group by cast({{ dbt.date_trunc('week', 'event_date') }} as date)
),

mart as (
    select year_week, sum(total_revenue) as revenue
    from {{ ref('country_weekly_revenue') }}
    where {{ in_window('year_week', 'week') }}
    group by year_week
)

select
    coalesce(purchases.year_week, mart.year_week) as year_week,
    purchases.revenue as purchase_revenue,
    mart.revenue as mart_revenue
from purchases
full outer join mart on purchases.year_week = mart.year_week
where purchases.year_week is null
    or mart.year_week is null
    or purchases.revenue <> mart.revenue
