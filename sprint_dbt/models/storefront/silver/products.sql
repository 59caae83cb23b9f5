-- One row is a product of the store, as added.
with delivered as (
    {{ last_ingested(
        relation=source('bronze', 'raw_products'),
        key=['product_id', 'event_date'],
        columns=[
            'product_id',
            'sku',
            'product_name',
            'category',
            'subcategory',
            'brand',
            'list_price',
            'unit_cost',
            'currency',
            'attributes',
            'added_at',
            'event_date'
        ],
        condition=in_window('event_date')
    ) }}
)

select
    product_id,
    sku,
    product_name,
    category,
    subcategory,
    brand,
    list_price,
    unit_cost,
    currency,
    attributes,
    added_at,
    event_date
from delivered
