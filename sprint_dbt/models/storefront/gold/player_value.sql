-- One row is a player of the store's title who has an account in the store.
{{ config(materialized='table') }}
{#- the title may not be there: it is built on its own, and a store need not have one #}
{%- set transactions = source('store_title', 'event_transaction') %}
{%- set has_transactions = execute and load_relation(transactions) is not none %}

with in_game as (
    {%- if has_transactions %}
    select
        player_id,
        sum(purchase_price) as spending,
        count(*) as purchases,
        min(event_datetime) as first_purchase_at
    from {{ transactions }}
    group by player_id
    {%- else %}
    select
        cast(null as uuid) as player_id,
        cast(null as decimal(9, 2)) as spending,
        cast(null as bigint) as purchases,
        cast(null as timestamp) as first_purchase_at
    where 1 = 0
    {%- endif %}
),

in_store as (
    select
        customer_id,
        sum(revenue) as spending,
        sum(case when is_cancelled or is_returned then 0 else 1 end) as kept_orders,
        min(case when not is_cancelled and not is_returned then ordered_at end) as first_order_at
    from {{ ref('orders') }}
    group by customer_id
)

select
    customers.player_id,
    customers.customer_id,
    customers.country,
    exists (select 1 from in_game) as in_game_known,
    cast(coalesce(in_game.spending, 0) as decimal(18, 2)) as in_game_spending,
    cast(coalesce(in_game.purchases, 0) as integer) as in_game_purchases,
    cast(coalesce(in_store.spending, 0) as decimal(18, 2)) as store_spending,
    cast(coalesce(in_store.kept_orders, 0) as integer) as store_orders,
    cast(
        coalesce(in_game.spending, 0) + coalesce(in_store.spending, 0) as decimal(18, 2)
    ) as total_spending,
    in_game.first_purchase_at as first_in_game_at,
    in_store.first_order_at as first_store_at,
    case
        when in_game.first_purchase_at <= coalesce(in_store.first_order_at, in_game.first_purchase_at)
            then 'game'
        when in_store.first_order_at is not null then 'store'
    end as first_purchase_in
from {{ ref('customers') }} as customers
left join in_game on customers.player_id = in_game.player_id
left join in_store on customers.customer_id = in_store.customer_id
where customers.player_id is not null
