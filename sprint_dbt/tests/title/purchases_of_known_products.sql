-- What revenue counts is in the catalogue, and is what the catalogue says it is. A row here is a kind
-- of purchase that is not. A warning: a landed title may sell what its catalogue does not know; one
-- that delivers no products is not asked.
-- depends_on: {{ ref('country_weekly_revenue') }}
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'country_weekly_revenue'}}}) }}

select
    transactions.purchase_item,
    transactions.transaction_type,
    products.transaction_type as catalogue_type,
    count(*) as purchases
from {{ source('raw', 'event_transaction') }} as transactions
left join {{ ref('dim_products') }} as products
    on transactions.purchase_item = products.product_sku
where {{ in_window('transactions.event_date') }}
    and exists (select 1 from {{ ref('dim_products') }})
    and (
        products.product_sku is null
        or products.transaction_type <> transactions.transaction_type
        or products.is_recurring <> transactions.is_recurring
    )
group by transactions.purchase_item, transactions.transaction_type, products.transaction_type
