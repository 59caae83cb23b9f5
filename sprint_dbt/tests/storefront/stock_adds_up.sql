-- The stock after a movement is that after the one before, and the movement. A row here is a movement
-- where it is not; over midnight, where no day between the two is missing.
{{ config(meta={'dagster': {'ref': {'name': 'inventory_movements'}}}) }}

with movements as (
    select
        movement_id,
        product_id,
        reason,
        quantity,
        stock_after,
        event_date,
        lag(stock_after) over by_time as stock_before,
        lag(event_date) over by_time as date_before
    from {{ ref('inventory_movements') }}
    where {{ in_window('event_date', back_days=counted_within()) }}
    window by_time as (partition by product_id order by occurred_at, movement_id)
)

select movement_id, product_id, reason, quantity, stock_before, stock_after, event_date
from movements
where {{ in_window('event_date') }}
    and (
        (date_before = event_date and stock_before + quantity <> stock_after)
        or (reason = 'initial' and quantity <> stock_after)
        or (
            date_before < event_date
            and reason <> 'initial'
            and stock_before + quantity <> stock_after
            and {{ no_day_missing('date_before', 'event_date', built_days('inventory_movements')) }}
        )
    )
