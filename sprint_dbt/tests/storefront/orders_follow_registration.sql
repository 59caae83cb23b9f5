-- Nobody orders before having an account. A row here is an order that was placed before its customer
-- registered.
{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}

select orders.order_id, orders.customer_id, orders.ordered_at, customers.registered_at
from {{ ref('orders') }} as orders
inner join {{ ref('customers') }} as customers on orders.customer_id = customers.customer_id
where {{ in_window('orders.order_date', back_days=settled_within()) }}
    and orders.ordered_at < customers.registered_at
