-- What a purchase costs (USD), how many cost at most 5 USD and how much of the revenue they bring (per cent), and
-- how much of it the tenth of the payers brings who pay most.
-- The tenth is rounded up, and is known only of 90 days or more of which none is missing.
{%- set first_day = "date '" ~ var('first_day', '2025-01-01') ~ "'" %}
{%- set last_day = "date '" ~ var('last_day', '2025-12-31') ~ "'" %}

with purchases as (
    select player_id, purchase_price, currency
    from {{ source('raw', 'event_transaction') }}
    where event_date between {{ first_day }} and {{ last_day }}
),

ranked as (
    select
        sum(purchase_price) as revenue,
        row_number() over (order by sum(purchase_price) desc) as place,
        count(*) over () as payers
    from purchases
    group by player_id
),

days as (
    select count(distinct calendar_date) as known
    from {{ ref('kpi_daily') }}
    where calendar_date between {{ first_day }} and {{ last_day }}
),

top as (
    select
        100.0 * sum(revenue) filter (10 * (place - 1) < payers) / nullif(sum(revenue), 0) as share,
        count(*) as payers
    from ranked
    where (select known >= 90 and known = {{ last_day }} - {{ first_day }} + 1 from days)
),

prices as (
    select
        avg(purchase_price) as mean,
        100.0 * count(*) filter (purchase_price <= 5) / nullif(count(*), 0) as small,
        100.0 * sum(purchase_price) filter (purchase_price <= 5) / nullif(sum(purchase_price), 0) as small_revenue,
        count(*) as purchases
    from purchases
    where currency = 'USD'
)

select
    prices.mean as purchase_mean,
    prices.purchases as purchase_mean_of,
    prices.small as small_purchases,
    prices.purchases as small_purchases_of,
    coalesce(prices.small_revenue, 0) as small_revenue,
    prices.purchases as small_revenue_of,
    top.share as top_tenth,
    top.payers as top_tenth_of
from prices
cross join top
