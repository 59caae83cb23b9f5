-- Every product on sale has its stock on every day, where every day of the store was delivered. A row
-- here is a day on which some have none.
{{ config(meta={'dagster': {'ref': {'name': 'daily_stock'}}}) }}

with days as (
    select stock_date, count(*) as stocked
    from {{ ref('daily_stock') }}
    where {{ in_window('stock_date', forward_days=counted_within() - 1) }}
    group by stock_date
),

added as (
    select event_date, count(*) as added
    from {{ ref('products') }}
    group by event_date
)

select days.stock_date, days.stocked, sum(added.added) as on_sale
from days
inner join added on added.event_date <= days.stock_date
where {{ history_is_whole() }}
group by days.stock_date, days.stocked
having sum(added.added) <> days.stocked
