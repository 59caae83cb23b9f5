-- One row is a country's ISO week (from Monday).
with purchases as (
    select
        -- a purchase counts even where nobody knows its player
        coalesce(players.country, 'ZZ') as country,
        cast({{ dbt.date_trunc('week', 'transactions.event_date') }} as date) as year_week,
        transactions.purchase_price
    from {{ source('raw', 'event_transaction') }} as transactions
    left join {{ source('dim', 'dim_players') }} as players
        on transactions.player_id = players.player_id
    where {{ in_window('transactions.event_date', 'week') }}
)

select
    country,
    year_week,
    cast(sum(purchase_price) as decimal(18, 2)) as total_revenue
from purchases
group by country, year_week
