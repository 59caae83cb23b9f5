-- One row is an order whose placement was delivered, as of its latest status. A status comes up to
-- 30 days after the order: so a run builds the orders of as many days before its window anew, from all
-- that was delivered since, also after the window.
{%- set statuses = ['placed', 'paid', 'cancelled', 'shipped', 'delivered', 'returned'] %}
{%- set details = [
    'customer_id', 'session_id', 'ordered_at', 'subtotal', 'discount', 'tax', 'shipping', 'total',
    'currency', 'payment_method', 'payment_status', 'ship_country'
] %}

with delivered as (
    {{ last_ingested(
        relation=source('bronze', 'raw_orders'),
        key=['order_id', 'status'],
        columns=['order_id', 'status', 'status_at'] + details,
        condition=in_window('event_date', back_days=settled_within(), forward_days=settled_within())
            ~ ' and ' ~ in_window('cast(ordered_at as date)', back_days=settled_within())
    ) }}
),

ranked as (
    select
        *,
        -- the later status counts; of two in one second, the one that is farther in an order's life
        {{ epoch_microseconds('status_at') }} * 10 + case status
            {%- for status in statuses %}
            when '{{ status }}' then {{ loop.index }}
            {%- endfor %}
            else 0
        end as recency
    from delivered
),

latest as (
    select
        order_id,
        max_by(status, recency) as status,
        {%- for column in details %}
        max_by({{ column }}, recency) as {{ column }},
        {%- endfor %}
        {%- for status in statuses %}
        max(case when status = '{{ status }}' then status_at end) as {{ status }}_at
        {{- ',' if not loop.last }}
        {%- endfor %}
    from ranked
    group by order_id
)

select
    order_id,
    customer_id,
    session_id,
    status,
    ordered_at,
    placed_at,
    paid_at,
    shipped_at,
    delivered_at,
    returned_at,
    cancelled_at,
    status = 'cancelled' as is_cancelled,
    status = 'returned' as is_returned,
    subtotal,
    discount,
    tax,
    shipping,
    total,
    cast(
        case when status in ('cancelled', 'returned') then 0 else subtotal - discount end
        as decimal(9, 2)
    ) as revenue,
    currency,
    payment_method,
    payment_status,
    ship_country,
    cast(ordered_at as date) as order_date
from latest
where placed_at is not null
