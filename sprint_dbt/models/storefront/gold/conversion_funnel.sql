-- One row is a day's web sessions on a kind of device. A session that came to a step counts at every
-- step before it, too: who buys again from the basket need not look at a product.
with reached as (
    select
        session_id,
        event_date,
        max(
            case
                when event_type = 'purchase' then 4
                when event_type = 'checkout' then 3
                when event_type = 'add_to_cart' then 2
                when event_type = 'page_view' and product_id is not null then 1
                else 0
            end
        ) as step
    from {{ ref('clickstream') }}
    where {{ in_window('event_date') }}
    group by session_id, event_date
),

counted as (
    select
        sessions.event_date,
        sessions.device,
        count(*) as sessions,
        sum(case when reached.step >= 1 then 1 else 0 end) as product_views,
        sum(case when reached.step >= 2 then 1 else 0 end) as carts,
        sum(case when reached.step >= 3 then 1 else 0 end) as checkouts,
        sum(case when reached.step >= 4 then 1 else 0 end) as purchases
    from {{ ref('sessions') }} as sessions
    left join reached
        on sessions.session_id = reached.session_id
        and sessions.event_date = reached.event_date
    where {{ in_window('sessions.event_date') }}
    group by sessions.event_date, sessions.device
)

select
    event_date,
    device,
    cast(sessions as integer) as sessions,
    cast(product_views as integer) as product_views,
    cast(carts as integer) as carts,
    cast(checkouts as integer) as checkouts,
    cast(purchases as integer) as purchases,
    cast(product_views as double) / sessions as view_rate,
    cast(carts as double) / nullif(product_views, 0) as cart_rate,
    cast(checkouts as double) / nullif(carts, 0) as checkout_rate,
    cast(purchases as double) / nullif(checkouts, 0) as purchase_rate,
    cast(purchases as double) / sessions as conversion_rate
from counted
