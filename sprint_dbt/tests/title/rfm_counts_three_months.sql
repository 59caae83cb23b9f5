-- A month's payers are those of three months, with what they bought. A row here is a month where the mart
-- and the purchases differ.
{{ config(meta={'dagster': {'ref': {'name': 'player_rfm_monthly'}}}) }}

with months as (
    select
        year_month,
        sum(frequency) as purchases,
        sum(monetary) as revenue
    from {{ ref('player_rfm_monthly') }}
    where {{ in_window('year_month', 'month') }}
    group by year_month
),

bought as (
    select
        cast({{ dbt.date_trunc('month', 'event_date') }} as date) as year_month,
        count(*) as purchases,
        sum(purchase_price) as revenue
    from {{ source('raw', 'event_transaction') }}
    where {{ in_window('event_date', 'month', back_days=62) }}
        -- what costs nothing makes no payer
        and purchase_price > 0
    group by cast({{ dbt.date_trunc('month', 'event_date') }} as date)
),

three_months as (
    select
        last_month.year_month,
        sum(bought.purchases) as purchases,
        sum(bought.revenue) as revenue
    from bought as last_month
    inner join bought
        on bought.year_month <= last_month.year_month
        and bought.year_month >= {{ dbt.dateadd('month', -2, 'last_month.year_month') }}
    where {{ in_window('last_month.year_month', 'month') }}
    group by last_month.year_month
)

select
    coalesce(months.year_month, three_months.year_month) as year_month,
    months.purchases,
    three_months.purchases as bought_purchases,
    months.revenue,
    three_months.revenue as bought_revenue
from months
full outer join three_months on months.year_month = three_months.year_month
where months.year_month is null
    or three_months.year_month is null
    or months.purchases <> three_months.purchases
    or months.revenue <> three_months.revenue
