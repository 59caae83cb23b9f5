-- One row is a product's month in which it was ordered. The whole table is built anew: a margin needs
-- the product's cost, and a product's day may be loaded after days on which it was sold.
{{ config(materialized='table') }}

with months as (
    select
        product_id,
        cast({{ dbt.date_trunc('month', 'order_date') }} as date) as sales_month,
        -- a product is in an order once or in several lines
        count(distinct order_id) as orders,
        sum(quantity) as pieces,
        sum(case when is_cancelled then quantity else 0 end) as cancelled_pieces,
        sum(case when is_returned then quantity else 0 end) as returned_pieces,
        sum(quantity * unit_price) as gross,
        sum(discount) as discount,
        sum(revenue) as revenue
    from {{ ref('order_items') }}
    group by product_id, cast({{ dbt.date_trunc('month', 'order_date') }} as date)
)

select
    months.product_id,
    months.sales_month,
    products.product_name,
    products.category,
    cast(months.orders as integer) as orders,
    cast(months.pieces as integer) as pieces,
    cast(months.cancelled_pieces as integer) as cancelled_pieces,
    cast(months.returned_pieces as integer) as returned_pieces,
    cast(months.gross as decimal(18, 2)) as gross,
    cast(months.discount as decimal(18, 2)) as discount,
    cast(months.revenue as decimal(18, 2)) as revenue,
    cast(
        months.revenue
        - products.unit_cost * (months.pieces - months.cancelled_pieces - months.returned_pieces)
        as decimal(18, 2)
    ) as margin
from months
left join {{ ref('products') }} as products on months.product_id = products.product_id
