-- One row is a cohort's month: the customers who registered in a month, so many months later. Every
-- month of a cohort has a row up to the last that is loaded, also one in which nobody ordered.
{{ config(materialized='table') }}

with customers as (
    select customer_id, cast({{ dbt.date_trunc('month', 'event_date') }} as date) as cohort_month
    from {{ ref('customers') }}
),

cohorts as (
    select cohort_month, count(*) as customers
    from customers
    group by cohort_month
),

months as (
    select cast({{ dbt.date_trunc('month', 'event_date') }} as date) as activity_month
    from {{ ref('sessions') }}
    union
    select cast({{ dbt.date_trunc('month', 'order_date') }} as date) as activity_month
    from {{ ref('orders') }}
),

sales as (
    select
        customers.cohort_month,
        cast({{ dbt.date_trunc('month', 'orders.order_date') }} as date) as activity_month,
        count(distinct orders.customer_id) as active_customers,
        count(*) as orders,
        sum(orders.revenue) as revenue
    from {{ ref('orders') }} as orders
    inner join customers on orders.customer_id = customers.customer_id
    group by
        customers.cohort_month,
        cast({{ dbt.date_trunc('month', 'orders.order_date') }} as date)
),

cohort_months as (
    select
        cohorts.cohort_month,
        months.activity_month,
        {{ dbt.datediff('cohorts.cohort_month', 'months.activity_month', 'month') }} as months_since,
        cohorts.customers,
        coalesce(sales.active_customers, 0) as active_customers,
        coalesce(sales.orders, 0) as orders,
        coalesce(sales.revenue, 0) as revenue
    from cohorts
    inner join months on months.activity_month >= cohorts.cohort_month
    left join sales
        on sales.cohort_month = cohorts.cohort_month
        and sales.activity_month = months.activity_month
),

added_up as (
    select
        *,
        sum(revenue) over (
            partition by cohort_month order by months_since rows unbounded preceding
        ) as revenue_so_far
    from cohort_months
),

gaps as (
    {{ last_missing_days(
        'months',
        'activity_month',
        up_to=dbt.last_day('activity_month', 'month'),
        days=built_days('sessions')
    ) }}
),

-- null where a day since the cohort's first one is missing
known as (
    select
        added_up.*,
        case
            when coalesce(gaps.last_missing < added_up.cohort_month, true) then added_up.revenue_so_far
        end as cumulative_revenue
    from added_up
    left join gaps on added_up.activity_month = gaps.activity_month
)

select
    cohort_month,
    cast(months_since as integer) as months_since,
    cast(customers as integer) as customers,
    cast(active_customers as integer) as active_customers,
    cast(active_customers as double) / customers as active_share,
    cast(orders as integer) as orders,
    cast(revenue as decimal(18, 2)) as revenue,
    cast(cumulative_revenue as decimal(18, 2)) as cumulative_revenue,
    cast(cumulative_revenue as double) / customers as cumulative_revenue_per_customer
from known
