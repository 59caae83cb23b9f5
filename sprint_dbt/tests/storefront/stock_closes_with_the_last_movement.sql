-- A day closes with the stock after its last movement. A row here is a product's day where it does not,
-- or where a movement has no stock.
{{ config(meta={'dagster': {'ref': {'name': 'daily_stock'}}}) }}

with movements as (
    select
        product_id,
        event_date,
        stock_after,
        row_number() over (
            partition by product_id, event_date order by occurred_at desc, movement_id desc
        ) as recency
    from {{ ref('inventory_movements') }}
    where {{ in_window('event_date') }}
)

select movements.product_id, movements.event_date, movements.stock_after, daily_stock.closing_stock
from movements
left join {{ ref('daily_stock') }} as daily_stock
    on movements.product_id = daily_stock.product_id
    and movements.event_date = daily_stock.stock_date
where movements.recency = 1
    and (daily_stock.product_id is null or daily_stock.closing_stock <> movements.stock_after)
