-- One row is a day's orders to a country.
with new_customers as (
    select customer_id, event_date
    from {{ ref('customers') }}
    where {{ in_window('event_date', back_days=settled_within()) }}
),

pieces as (
    select order_id, sum(quantity) as pieces
    from {{ ref('order_items') }}
    where {{ in_window('order_date', back_days=settled_within()) }}
    group by order_id
)

select
    orders.order_date,
    orders.ship_country,
    cast(count(*) as integer) as orders,
    cast(sum(case when orders.is_cancelled then 1 else 0 end) as integer) as cancelled_orders,
    cast(sum(case when orders.is_returned then 1 else 0 end) as integer) as returned_orders,
    cast(coalesce(sum(pieces.pieces), 0) as integer) as pieces,
    cast(sum(orders.subtotal) as decimal(18, 2)) as gross,
    cast(sum(orders.discount) as decimal(18, 2)) as discount,
    cast(sum(orders.tax) as decimal(18, 2)) as tax,
    cast(sum(orders.shipping) as decimal(18, 2)) as shipping,
    cast(sum(orders.revenue) as decimal(18, 2)) as revenue,
    cast(count(distinct orders.customer_id) as integer) as customers,
    cast(count(new_customers.customer_id) as integer) as new_customer_orders
from {{ ref('orders') }} as orders
left join pieces on orders.order_id = pieces.order_id
left join new_customers
    on orders.customer_id = new_customers.customer_id
    and orders.order_date = new_customers.event_date
where {{ in_window('orders.order_date', back_days=settled_within()) }}
group by orders.order_date, orders.ship_country
