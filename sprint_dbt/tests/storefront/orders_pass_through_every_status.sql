-- An order is paid before it is shipped, shipped before it is delivered, and delivered before it comes
-- back. A row here is an order that skipped a status, where every day was delivered on which it may
-- have had it.
{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}

select order_id, status, paid_at, shipped_at, delivered_at, returned_at, cancelled_at
from {{ ref('orders') }}
where {{ in_window('order_date', back_days=settled_within()) }}
    and (
        (shipped_at is not null and paid_at is null)
        or (delivered_at is not null and shipped_at is null)
        or (returned_at is not null and delivered_at is null)
    )
    and {{ no_day_missing(
        'order_date',
        'cast(coalesce(returned_at, delivered_at, shipped_at) as date)',
        loaded_days('raw_orders')
    ) }}
