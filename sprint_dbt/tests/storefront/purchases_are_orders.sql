-- Every purchase in the clickstream is the order of its session, and every order is a purchase there. A
-- row here is one without the other.
{{ config(meta={'dagster': {'ref': {'name': 'clickstream'}}}) }}

with purchases as (
    select session_id, order_id, event_date
    from {{ ref('clickstream') }}
    where {{ in_window('event_date') }}
        and event_type = 'purchase'
),

orders as (
    select session_id, order_id, order_date
    from {{ ref('orders') }}
    where {{ in_window('order_date') }}
)

select
    coalesce(purchases.event_date, orders.order_date) as event_date,
    purchases.order_id as purchased_order_id,
    orders.order_id,
    coalesce(purchases.session_id, orders.session_id) as session_id
from purchases
full outer join orders
    on purchases.order_id = orders.order_id
    and purchases.session_id = orders.session_id
    and purchases.event_date = orders.order_date
where purchases.order_id is null
    or orders.order_id is null
