-- What is told of an order comes with its placement, or after it. A row here is an order whose day was
-- delivered, without its placement: it would be missing from silver.
{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}

with told as (
    select distinct order_id, cast(ordered_at as date) as order_date
    from {{ source('bronze', 'raw_orders') }}
    where {{ in_window('event_date', forward_days=settled_within()) }}
        and {{ in_window('cast(ordered_at as date)') }}
)

select told.order_id, told.order_date
from told
left join {{ ref('orders') }} as orders
    on told.order_id = orders.order_id
    and told.order_date = orders.order_date
where orders.order_id is null
    -- sessions have rows of every day that is loaded
    and told.order_date in (select event_date from {{ ref('sessions') }})
