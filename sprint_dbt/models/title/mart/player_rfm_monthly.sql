-- One row is a payer's month, where the player paid in it or in the two months before, and anybody in
-- it. A purchase counts for three months: a run builds the months of its window and the two after them.
{%- set months = 3 %}
{%- set forward = 62 %}

with purchases as (
    select
        transactions.player_id,
        coalesce(players.country, 'ZZ') as country,
        transactions.event_date,
        transactions.purchase_price,
        cast({{ dbt.date_trunc('month', 'transactions.event_date') }} as date) as bought_in
    from {{ source('raw', 'event_transaction') }} as transactions
    left join {{ source('dim', 'dim_players') }} as players
        on transactions.player_id = players.player_id
    where {{ in_window('transactions.event_date', 'month', back_days=forward, forward_days=forward) }}
        and transactions.purchase_price > 0
),

months_later as (
    {%- for number in range(months) %}
    select {{ number }} as months_later
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        purchases.*,
        cast(
            {{ dbt.dateadd('month', 'months_later.months_later', 'purchases.bought_in') }} as date
        ) as year_month
    from purchases
    cross join months_later
),

payers as (
    select
        player_id,
        year_month,
        max(country) as country,
        {{ dbt.datediff('max(event_date)', dbt.last_day('year_month', 'month'), 'day') }} as recency_days,
        count(*) as frequency,
        sum(purchase_price) as monetary
    from counted
    where {{ in_window('year_month', 'month', forward_days=forward) }}
        and year_month in (select bought_in from purchases)
    group by player_id, year_month
),

-- how many of the month's payers are not better: equal players have equal scores
shares as (
    select
        *,
        count(*) over (partition by year_month order by recency_days desc) as not_more_recent,
        count(*) over (partition by year_month order by frequency) as not_more_frequent,
        count(*) over (partition by year_month order by monetary) as not_spending_more,
        count(*) over (partition by year_month) as payers
    from payers
),

scores as (
    select
        *,
        -- their share in fifths, rounded up; in whole numbers, as engines divide to more or fewer digits
        {%- for score, payers_not_better in {
            'recency_score': 'not_more_recent',
            'frequency_score': 'not_more_frequent',
            'monetary_score': 'not_spending_more',
        }.items() %}
        cast({{ whole_quotient('5 * ' ~ payers_not_better ~ ' + payers - 1', 'payers') }} as smallint)
            as {{ score }}{{ ',' if not loop.last }}
        {%- endfor %}
    from shares
),

-- up to the last day that is there: after it the month goes on
months as (
    select scored.year_month, max(loaded.day) as last_day
    from (select distinct year_month from scores) as scored
    inner join ({{ loaded_days('transactions') }}) as loaded
        on loaded.day <= {{ dbt.last_day('scored.year_month', 'month') }}
    group by scored.year_month
),

gaps as (
    {{ last_missing_days('months', 'year_month', up_to='last_day', days=loaded_days('transactions')) }}
),

-- null where a day of the three months is missing
known as (
    select
        scores.player_id,
        scores.year_month,
        scores.country
        {%- for figure in [
            'recency_days', 'frequency', 'monetary', 'recency_score', 'frequency_score', 'monetary_score'
        ] %},
        case
            when coalesce(
                gaps.last_missing < {{ dbt.dateadd('month', 1 - months, 'scores.year_month') }}, true
            ) then scores.{{ figure }}
        end as {{ figure }}
        {%- endfor %}
    from scores
    left join gaps on scores.year_month = gaps.year_month
)

select
    player_id,
    year_month,
    country,
    cast(recency_days as integer) as recency_days,
    cast(frequency as integer) as frequency,
    cast(monetary as decimal(18, 2)) as monetary,
    recency_score,
    frequency_score,
    monetary_score,
    -- where most buy once, one purchase is as good as most and scores high: nobody is loyal for it
    case
        when frequency is null then null
        when recency_score >= 3 and frequency = 1
            then case when recency_score >= 4 then 'new' else 'promising' end
        when recency_score >= 4 and frequency_score >= 4 and monetary_score >= 4 then 'champions'
        when recency_score >= 3 and frequency_score >= 4 then 'loyal'
        when recency_score >= 3 then 'promising'
        when monetary_score >= 4 then 'big spenders at risk'
        when frequency_score >= 3 and frequency > 1 then 'at risk'
        else 'lapsing'
    end as segment
from known
