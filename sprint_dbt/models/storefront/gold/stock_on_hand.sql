-- One row is a product's day, with what its stock is worth. A view: the value needs the product's cost,
-- and a product's day may be loaded after days on which its stock moved.
{{ config(materialized='view') }}

select
    daily_stock.product_id,
    daily_stock.stock_date,
    products.category,
    daily_stock.closing_stock,
    products.unit_cost,
    cast(daily_stock.closing_stock * products.unit_cost as decimal(18, 2)) as stock_value,
    daily_stock.last_movement_date
from {{ ref('daily_stock') }} as daily_stock
left join {{ ref('products') }} as products on daily_stock.product_id = products.product_id
