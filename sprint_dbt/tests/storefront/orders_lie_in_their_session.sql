-- An order is placed in a web session of its customer. A row here is an order at another time than its
-- session, or of another customer.
{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}

select
    orders.order_id,
    orders.ordered_at,
    sessions.started_at,
    sessions.ended_at,
    orders.customer_id,
    sessions.customer_id as session_customer_id
from {{ ref('orders') }} as orders
inner join {{ ref('sessions') }} as sessions
    on orders.session_id = sessions.session_id
where {{ in_window('orders.order_date', back_days=settled_within()) }}
    and (
        orders.ordered_at < sessions.started_at
        or orders.ordered_at > sessions.ended_at
        or sessions.customer_id is null
        or orders.customer_id <> sessions.customer_id
    )
