-- What a cohort has paid is what it paid up to the day before, and on the day. A row here is a cohort's
-- day of which that, or what the day's purchases sum up to, is not true.
{{ config(meta={'dagster': {'ref': {'name': 'cohort_revenue'}}}) }}

with days as (
    select
        signup_date,
        country,
        day_number,
        calendar_date,
        revenue,
        cumulative_revenue,
        lag(day_number) over cohort as previous_number,
        lag(cumulative_revenue) over cohort as previous_revenue
    from {{ ref('cohort_revenue') }}
    -- what this run built; the day before may be from an earlier one, and be built again after it
    where {{ in_window('calendar_date', forward_days=90) }}
    window cohort as (partition by signup_date, country order by day_number)
),

cohorts as (
    select
        signup_date,
        calendar_date,
        sum(revenue) as revenue,
        sum(
            case
                when previous_number = day_number - 1 and cumulative_revenue <> previous_revenue + revenue
                    then 1
                else 0
            end
        ) as broken_sums
    from days
    group by signup_date, calendar_date
),

purchases as (
    select
        players.signup_date,
        transactions.event_date,
        sum(transactions.purchase_price) as revenue
    from {{ source('raw', 'event_transaction') }} as transactions
    inner join {{ source('dim', 'dim_players') }} as players
        on transactions.player_id = players.player_id
    where {{ in_window('transactions.event_date', forward_days=90) }}
    group by players.signup_date, transactions.event_date
)

select cohorts.*, purchases.revenue as purchased
from cohorts
left join purchases
    on cohorts.signup_date = purchases.signup_date
    and cohorts.calendar_date = purchases.event_date
where cohorts.revenue <> coalesce(purchases.revenue, 0)
    or cohorts.broken_sums > 0
