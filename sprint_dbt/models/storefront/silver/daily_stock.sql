-- One row is a product's day. The stock at the end of a day is that after the product's last movement up
-- to then. The warehouse counts every product on sale every week, so six days before are enough: a run
-- builds its window and the six days after it, as far as they were loaded.
{%- set days = counted_within() - 1 %}

with movements as (
    select
        product_id,
        event_date,
        stock_after,
        row_number() over (
            partition by product_id, event_date order by occurred_at desc, movement_id desc
        ) as recency
    from {{ ref('inventory_movements') }}
    where {{ in_window('event_date', back_days=days, forward_days=days) }}
),

closings as (
    select
        product_id,
        event_date,
        stock_after,
        lead(event_date) over (partition by product_id order by event_date) as next_date
    from movements
    where recency = 1
),

days_later as (
    {%- for days_later in range(counted_within()) %}
    select {{ days_later }} as days_later
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

days_of_stock as (
    select
        closings.product_id,
        closings.stock_after,
        closings.event_date as last_movement_date,
        closings.next_date,
        cast(
            {{ dbt.dateadd('day', 'days_later.days_later', 'closings.event_date') }} as date
        ) as stock_date
    from closings
    cross join days_later
),

-- a day is loaded when it has sessions: on a quiet day of a small store nothing moves
loaded_days as (
    select event_date
    from {{ ref('sessions') }}
    where {{ in_window('event_date', forward_days=days) }}
    union
    select event_date
    from {{ ref('inventory_movements') }}
    where {{ in_window('event_date', forward_days=days) }}
),

gaps as (
    {{ last_missing_days(
        'days_of_stock', 'stock_date', up_to='stock_date', days=built_days('inventory_movements')
    ) }}
)

select
    days_of_stock.product_id,
    days_of_stock.stock_date,
    -- null where a day since the movement is missing: the stock may have moved on it
    case
        when coalesce(gaps.last_missing < days_of_stock.last_movement_date, true)
            then days_of_stock.stock_after
    end as closing_stock,
    days_of_stock.last_movement_date
from days_of_stock
left join gaps on days_of_stock.stock_date = gaps.stock_date
where (days_of_stock.next_date is null or days_of_stock.stock_date < days_of_stock.next_date)
    and days_of_stock.stock_date in (select event_date from loaded_days)
