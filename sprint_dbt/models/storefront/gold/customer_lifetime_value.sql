-- One row is a customer, also one who never ordered.
{{ config(materialized='table') }}

with spending as (
    select
        customer_id,
        count(*) as orders,
        sum(case when is_cancelled then 1 else 0 end) as cancelled_orders,
        sum(case when is_returned then 1 else 0 end) as returned_orders,
        sum(case when is_cancelled or is_returned then 0 else 1 end) as kept_orders,
        sum(revenue) as revenue,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date
    from {{ ref('orders') }}
    group by customer_id
),

last_day as (
    select max(event_date) as last_day
    from {{ ref('sessions') }}
),

valued as (
    select
        customers.customer_id,
        customers.player_id,
        customers.country,
        customers.event_date as registration_date,
        spending.first_order_date,
        spending.last_order_date,
        coalesce(spending.orders, 0) as orders,
        coalesce(spending.cancelled_orders, 0) as cancelled_orders,
        coalesce(spending.returned_orders, 0) as returned_orders,
        coalesce(spending.kept_orders, 0) as kept_orders,
        coalesce(spending.revenue, 0) as revenue,
        {{ dbt.datediff('customers.event_date', as_of('last_day.last_day'), 'day') }} as days_as_customer
    from {{ ref('customers') }} as customers
    cross join last_day
    left join spending on customers.customer_id = spending.customer_id
)

select
    customer_id,
    player_id,
    country,
    registration_date,
    first_order_date,
    last_order_date,
    cast(orders as integer) as orders,
    cast(cancelled_orders as integer) as cancelled_orders,
    cast(returned_orders as integer) as returned_orders,
    cast(kept_orders as integer) as kept_orders,
    cast(revenue as decimal(18, 2)) as revenue,
    cast(revenue as double) / nullif(kept_orders, 0) as average_order_value,
    cast(days_as_customer as integer) as days_as_customer,
    case
        when kept_orders = 0 then 'none'
        when kept_orders = 1 then 'one_time'
        when kept_orders < 5 then 'repeat'
        else 'loyal'
    end as segment,
    -- only customers who keep what they ordered are in the deciles
    cast(
        case
            when kept_orders > 0 then ntile(10) over (
                partition by case when kept_orders > 0 then 1 else 0 end
                order by revenue desc, customer_id
            )
        end as integer
    ) as revenue_decile
from valued
