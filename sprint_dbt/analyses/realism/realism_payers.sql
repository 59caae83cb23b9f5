-- Who pays in a month: payers among active players, those who buy once or five times and more (per cent), and what
-- one pays. All of it of whole months: those of which no day is missing.
{%- set first_day = "date '" ~ var('first_day', '2025-01-01') ~ "'" %}
{%- set last_day = "date '" ~ var('last_day', '2025-12-31') ~ "'" %}

with months as (
    select cast(date_trunc('month', calendar_date) as date) as year_month
    from {{ ref('kpi_daily') }}
    where calendar_date between {{ first_day }} and {{ last_day }}
    group by 1
    having count(distinct calendar_date) = day(last_day(min(calendar_date)))
),

active as (
    select count(*) as players
    from {{ ref('player_consecutive_days_monthly') }}
    where year_month in (select year_month from months)
),

payers as (
    select
        player_id,
        count(*) as purchases,
        sum(purchase_price) filter (currency = 'USD') as paid
    from {{ source('raw', 'event_transaction') }}
    where date_trunc('month', event_date) in (select year_month from months)
    group by player_id, date_trunc('month', event_date)
)

select
    100.0 * count(purchases) / nullif(any_value(active.players), 0) as payer_share,
    any_value(active.players) as payer_share_of,
    100.0 * count(*) filter (purchases = 1) / nullif(count(purchases), 0) as buy_1_time,
    count(purchases) as buy_1_time_of,
    100.0 * count(*) filter (purchases >= 5) / nullif(count(purchases), 0) as buy_5_times,
    count(purchases) as buy_5_times_of,
    avg(paid) as revenue_per_payer,
    count(paid) as revenue_per_payer_of
from active
left join payers on true
