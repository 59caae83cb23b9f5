-- A status of an order comes with the order's placement, or after it. A row here is an order whose day was
-- delivered, without its placement: it would be missing from silver.
{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}

with delivered as (
    select distinct order_id, cast(ordered_at as date) as order_date
    from {{ source('bronze', 'raw_orders') }}
    where {{ in_window('event_date', forward_days=settled_within()) }}
        and {{ in_window('cast(ordered_at as date)') }}
)

select delivered.order_id, delivered.order_date
from delivered
left join {{ ref('orders') }} as orders
    on delivered.order_id = orders.order_id
    and delivered.order_date = orders.order_date
where orders.order_id is null
    -- sessions have rows of every day that is loaded
    and delivered.order_date in (select event_date from {{ ref('sessions') }})
