-- Nothing is ordered before it is on sale. A row here is a line of an order from before its product was
-- added.
{{ config(meta={'dagster': {'ref': {'name': 'order_items'}}}) }}

select items.order_id, items.line_number, items.product_id, orders.ordered_at, products.added_at
from {{ ref('order_items') }} as items
inner join {{ ref('orders') }} as orders
    on items.order_id = orders.order_id
    and items.order_date = orders.order_date
inner join {{ ref('products') }} as products on items.product_id = products.product_id
where {{ in_window('items.order_date', back_days=settled_within()) }}
    and {{ in_window('orders.order_date', back_days=settled_within()) }}
    and orders.ordered_at < products.added_at
