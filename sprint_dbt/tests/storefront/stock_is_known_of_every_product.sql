-- Every product on sale has its stock on every day, where none of the days is missing in which the
-- warehouse counts every product once. A row here is a day on which some have none.
{{ config(meta={'dagster': {'ref': {'name': 'daily_stock'}}}) }}

with stocked_days as (
    select distinct stock_date
    from {{ ref('daily_stock') }}
    where {{ in_window('stock_date', forward_days=counted_within() - 1) }}
),

-- of the products that are known: one may have been added on a day that is missing
days as (
    select daily_stock.stock_date, count(*) as stocked
    from {{ ref('daily_stock') }} as daily_stock
    inner join {{ ref('products') }} as products
        on daily_stock.product_id = products.product_id
        and daily_stock.stock_date >= products.event_date
    where {{ in_window('daily_stock.stock_date', forward_days=counted_within() - 1) }}
    group by daily_stock.stock_date
),

added as (
    select event_date, count(*) as added
    from {{ ref('products') }}
    group by event_date
),

on_sale as (
    select stocked_days.stock_date, sum(added.added) as products
    from stocked_days
    inner join added on added.event_date <= stocked_days.stock_date
    group by stocked_days.stock_date
)

select on_sale.stock_date, days.stocked, on_sale.products as on_sale
from on_sale
left join days on on_sale.stock_date = days.stock_date
where on_sale.products <> coalesce(days.stocked, 0)
    and {{ no_day_missing(
        dbt.dateadd('day', 1 - counted_within(), 'on_sale.stock_date'),
        'on_sale.stock_date',
        built_days('inventory_movements')
    ) }}
