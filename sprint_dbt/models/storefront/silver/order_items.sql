-- One row is a line of an order, as of the order's latest status.
with orders as (
    select order_id, status, customer_id, is_cancelled, is_returned, order_date
    from {{ ref('orders') }}
    where {{ in_window('order_date', back_days=settled_within()) }}
),

delivered as (
    {{ last_ingested(
        relation=source('bronze', 'raw_orders'),
        key=['order_id', 'status'],
        columns=['order_id', 'status', 'items'],
        condition=in_window('event_date', back_days=settled_within(), forward_days=settled_within())
            ~ ' and ' ~ in_window('cast(ordered_at as date)', back_days=settled_within())
    ) }}
),

latest as (
    select
        orders.order_id,
        orders.customer_id,
        orders.is_cancelled,
        orders.is_returned,
        orders.order_date,
        delivered.items
    from orders
    inner join delivered
        on orders.order_id = delivered.order_id
        and orders.status = delivered.status
),

lines as (
    {{ json_array_rows(
        relation='latest',
        columns=['order_id', 'customer_id', 'is_cancelled', 'is_returned', 'order_date'],
        json='items',
        fields={
            'line': 'smallint',
            'product_id': 'bigint',
            'quantity': 'integer',
            'unit_price': 'decimal(9,2)',
            'discount': 'decimal(9,2)',
            'amount': 'decimal(9,2)',
        }
    ) }}
)

select
    order_id,
    line as line_number,
    product_id,
    customer_id,
    quantity,
    unit_price,
    discount,
    amount,
    is_cancelled,
    is_returned,
    cast(case when is_cancelled or is_returned then 0 else amount end as decimal(9, 2)) as revenue,
    order_date
from lines
