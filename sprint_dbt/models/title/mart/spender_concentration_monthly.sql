-- One row is a month in which anybody paid.
with spending as (
    select
        cast({{ dbt.date_trunc('month', 'event_date') }} as date) as year_month,
        player_id,
        sum(purchase_price) as revenue
    from {{ source('raw', 'event_transaction') }}
    where {{ in_window('event_date', 'month') }} and purchase_price > 0
    group by cast({{ dbt.date_trunc('month', 'event_date') }} as date), player_id
),

ranked as (
    select
        year_month,
        revenue,
        row_number() over (partition by year_month order by revenue desc) as place,
        count(*) over (partition by year_month) as payers
    from spending
),

-- a share of payers is rounded up: there is always somebody at the top; in whole numbers, as engines
-- divide to more or fewer digits
tops as (
    select
        *,
        case when 100 * (place - 1) < payers then 1 else 0 end as in_top_1_percent,
        case when 10 * (place - 1) < payers then 1 else 0 end as in_top_10_percent
    from ranked
)

select
    year_month,
    cast(count(*) as integer) as payers,
    cast(sum(revenue) as decimal(18, 2)) as revenue,
    cast(sum(in_top_1_percent) as integer) as top_1_percent_payers,
    cast(sum(revenue * in_top_1_percent) as decimal(18, 2)) as top_1_percent_revenue,
    cast(sum(revenue * in_top_1_percent) as double) / nullif(sum(revenue), 0) as top_1_percent_share,
    cast(sum(in_top_10_percent) as integer) as top_10_percent_payers,
    cast(sum(revenue * in_top_10_percent) as decimal(18, 2)) as top_10_percent_revenue,
    cast(sum(revenue * in_top_10_percent) as double) / nullif(sum(revenue), 0) as top_10_percent_share
from tops
group by year_month
