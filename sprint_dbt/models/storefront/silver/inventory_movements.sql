-- One row is a movement of a product's stock.
with delivered as (
    {{ last_ingested(
        relation=source('bronze', 'raw_inventory'),
        key=['movement_id', 'event_date'],
        columns=[
            'movement_id',
            'product_id',
            'movement_type',
            'reason',
            'quantity',
            'stock_after',
            'order_id',
            'order_line',
            'occurred_at',
            'event_date'
        ],
        condition=in_window('event_date')
    ) }}
)

select
    movement_id,
    product_id,
    movement_type,
    reason,
    quantity,
    stock_after,
    order_id,
    order_line as line_number,
    occurred_at,
    event_date
from delivered
