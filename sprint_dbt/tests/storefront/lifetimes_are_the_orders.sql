-- A customer's lifetime is the sum of the customer's orders, and every customer has one. A row here is a
-- customer who differs, or is in only one of the two.
{{ config(meta={'dagster': {'ref': {'name': 'customer_lifetime_value'}}}) }}

with spending as (
    select
        customer_id,
        count(*) as orders,
        sum(revenue) as revenue,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date
    from {{ ref('orders') }}
    group by customer_id
),

customers as (
    select
        customers.customer_id,
        coalesce(spending.orders, 0) as orders,
        coalesce(spending.revenue, 0) as revenue,
        spending.first_order_date,
        spending.last_order_date
    from {{ ref('customers') }} as customers
    left join spending on customers.customer_id = spending.customer_id
)

select
    coalesce(customers.customer_id, lifetimes.customer_id) as customer_id,
    customers.orders,
    lifetimes.orders as lifetime_orders,
    customers.revenue,
    lifetimes.revenue as lifetime_revenue
from customers
full outer join {{ ref('customer_lifetime_value') }} as lifetimes
    on customers.customer_id = lifetimes.customer_id
where customers.customer_id is null
    or lifetimes.customer_id is null
    or customers.orders <> lifetimes.orders
    or customers.revenue <> lifetimes.revenue
    or coalesce(customers.first_order_date <> lifetimes.first_order_date, false)
    or coalesce(customers.last_order_date <> lifetimes.last_order_date, false)
