-- One row is the players of a country who signed up on a day, on one of their first 91 days, where
-- anybody of the game played or bought on it. A run builds its window and the 90 days after it, over
-- which what is bought in it adds up.
{%- set last = 90 %}

with cohorts as (
    select signup_date, country, count(*) as cohort_players
    from {{ source('dim', 'dim_players') }}
    where {{ in_window('signup_date', back_days=last, forward_days=last) }}
    group by signup_date, country
),

game_days as (
    select calendar_date
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date', forward_days=last) }}
    union
    select event_date as calendar_date
    from {{ source('raw', 'event_transaction') }}
    where {{ in_window('event_date', forward_days=last) }}
),

cohort_days as (
    select
        cohorts.signup_date,
        cohorts.country,
        numbers.generated_number - 1 as day_number,
        cast(
            {{ dbt.dateadd('day', 'cast(numbers.generated_number - 1 as integer)', 'cohorts.signup_date') }}
            as date
        ) as calendar_date
    from cohorts
    cross join ({{ dbt.generate_series(last + 1) }}) as numbers
),

purchases as (
    select
        players.signup_date,
        players.country,
        {{ dbt.datediff('players.signup_date', 'transactions.event_date', 'day') }} as day_number,
        count(distinct case when transactions.purchase_price > 0 then transactions.player_id end)
            as payers,
        sum(transactions.purchase_price) as revenue
    from {{ source('raw', 'event_transaction') }} as transactions
    inner join {{ source('dim', 'dim_players') }} as players
        on transactions.player_id = players.player_id
    where {{ in_window('transactions.event_date', back_days=last, forward_days=last) }}
        and {{ in_window('players.signup_date', back_days=last, forward_days=last) }}
        and {{ dbt.datediff('players.signup_date', 'transactions.event_date', 'day') }}
            between 0 and {{ last }}
    group by
        players.signup_date,
        players.country,
        {{ dbt.datediff('players.signup_date', 'transactions.event_date', 'day') }}
),

running as (
    select
        signup_date,
        country,
        day_number,
        sum(payers) as payers,
        sum(revenue) as revenue,
        sum(sum(revenue)) over (
            partition by signup_date, country order by day_number
        ) as revenue_so_far
    from (
        select signup_date, country, day_number, payers, revenue from purchases
        union all
        select signup_date, country, day_number, 0 as payers, 0 as revenue from cohort_days
    ) as every_day
    group by signup_date, country, day_number
),

gaps as (
    {{ last_missing_days(
        'game_days', 'calendar_date', up_to='calendar_date', days=loaded_days('transactions')
    ) }}
),

-- null where a day since the sign-up is missing
known as (
    select
        running.*,
        case
            when coalesce(gaps.last_missing < running.signup_date, true) then running.revenue_so_far
        end as cumulative_revenue
    from running
    left join gaps
        on gaps.calendar_date = {{ dbt.dateadd('day', 'running.day_number', 'running.signup_date') }}
)

select
    cohort_days.signup_date,
    cohort_days.country,
    cast(cohort_days.day_number as smallint) as day_number,
    cohort_days.calendar_date,
    cast(cohorts.cohort_players as integer) as cohort_players,
    cast(known.payers as integer) as payers,
    cast(known.revenue as decimal(18, 2)) as revenue,
    cast(known.cumulative_revenue as decimal(18, 2)) as cumulative_revenue,
    cast(known.cumulative_revenue as double) / cohorts.cohort_players as lifetime_value
from cohort_days
inner join cohorts
    on cohort_days.signup_date = cohorts.signup_date
    and cohort_days.country = cohorts.country
inner join known
    on cohort_days.signup_date = known.signup_date
    and cohort_days.country = known.country
    and cohort_days.day_number = known.day_number
where cohort_days.calendar_date in (select calendar_date from game_days)
