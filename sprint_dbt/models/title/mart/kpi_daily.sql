-- One row is a country's day, of the days on which anybody of the game played or bought. Who plays on a
-- day counts as a monthly active player for 28 days: a run builds its window and the 27 days after it.
{%- set weekly, monthly = 7, 28 %}

with player_days as (
    select
        player_id,
        calendar_date,
        country,
        sessions_count,
        total_play_time_seconds,
        lead(calendar_date) over (partition by player_id order by calendar_date) as next_date
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date', back_days=monthly - 1, forward_days=monthly - 1) }}
),

-- few rows from here on: a country's players of a day, by when they play next
plays as (
    select
        country,
        calendar_date,
        case
            when next_date < {{ dbt.dateadd('day', monthly, 'calendar_date') }}
                then {{ dbt.datediff('calendar_date', 'next_date', 'day') }}
            else {{ monthly }}
        end as days_counted,
        count(*) as players,
        sum(sessions_count) as sessions,
        sum(total_play_time_seconds) as play_time_seconds
    from player_days
    group by
        country,
        calendar_date,
        case
            when next_date < {{ dbt.dateadd('day', monthly, 'calendar_date') }}
                then {{ dbt.datediff('calendar_date', 'next_date', 'day') }}
            else {{ monthly }}
        end
),

-- a player counts from a day of play until the next one, for 7 or 28 days at most, and in the country
-- of that day: once, and for one country
changes as (
    select country, calendar_date, players as weekly_change, players as monthly_change
    from plays
    union all
    select
        country,
        cast(
            case
                when days_counted < {{ weekly }}
                    then {{ dbt.dateadd('day', 'days_counted', 'calendar_date') }}
                else {{ dbt.dateadd('day', weekly, 'calendar_date') }}
            end as date
        ) as calendar_date,
        -players as weekly_change,
        0 as monthly_change
    from plays
    union all
    select
        country,
        cast({{ dbt.dateadd('day', 'days_counted', 'calendar_date') }} as date) as calendar_date,
        0 as weekly_change,
        -players as monthly_change
    from plays
),

purchases as (
    select
        -- a purchase counts even where nobody knows its player
        coalesce(players.country, 'ZZ') as country,
        transactions.event_date as calendar_date,
        count(*) as purchases,
        -- who took what cost nothing has not paid
        count(distinct case when transactions.purchase_price > 0 then transactions.player_id end)
            as payers,
        sum(transactions.purchase_price) as revenue
    from {{ source('raw', 'event_transaction') }} as transactions
    left join {{ source('dim', 'dim_players') }} as players
        on transactions.player_id = players.player_id
    where {{ in_window('transactions.event_date', forward_days=monthly - 1) }}
    group by coalesce(players.country, 'ZZ'), transactions.event_date
),

new_players as (
    select country, signup_date as calendar_date, count(*) as players
    from {{ source('dim', 'dim_players') }}
    where {{ in_window('signup_date', forward_days=monthly - 1) }}
    group by country, signup_date
),

first_days as (
    select activity.country, activity.calendar_date, count(*) as players
    from {{ ref('player_activity_daily') }} as activity
    inner join {{ source('dim', 'dim_players') }} as players
        on activity.player_id = players.player_id
        and activity.calendar_date = players.signup_date
    where {{ in_window('activity.calendar_date', forward_days=monthly - 1) }}
    group by activity.country, activity.calendar_date
),

game_days as (
    select calendar_date from plays
    union
    select calendar_date from purchases
),

countries as (
    select country from plays
    union
    select country from purchases
    union
    select country from new_players
),

running as (
    select
        country,
        calendar_date,
        sum(sum(weekly_change)) over (partition by country order by calendar_date) as weekly_players,
        sum(sum(monthly_change)) over (partition by country order by calendar_date) as monthly_players
    from (
        select country, calendar_date, weekly_change, monthly_change from changes
        union all
        select countries.country, game_days.calendar_date, 0 as weekly_change, 0 as monthly_change
        from game_days
        cross join countries
    ) as every_day
    group by country, calendar_date
),

gaps as (
    {{ last_missing_days(
        'game_days', 'calendar_date', up_to='calendar_date', days=built_days('player_activity_daily')
    ) }}
),

measures as (
    select
        running.country,
        running.calendar_date,
        coalesce(played.players, 0) as active_players,
        running.weekly_players,
        running.monthly_players,
        coalesce(new_players.players, 0) as new_players,
        coalesce(played.players, 0) - coalesce(first_days.players, 0) as returning_players,
        coalesce(played.sessions, 0) as sessions,
        coalesce(played.play_time_seconds, 0) as play_time_seconds,
        coalesce(purchases.revenue, 0) as revenue,
        coalesce(purchases.purchases, 0) as purchases,
        coalesce(purchases.payers, 0) as payers
    from running
    left join (
        select
            country,
            calendar_date,
            sum(players) as players,
            sum(sessions) as sessions,
            sum(play_time_seconds) as play_time_seconds
        from plays
        group by country, calendar_date
    ) as played
        on running.country = played.country and running.calendar_date = played.calendar_date
    left join purchases
        on running.country = purchases.country and running.calendar_date = purchases.calendar_date
    left join new_players
        on running.country = new_players.country and running.calendar_date = new_players.calendar_date
    left join first_days
        on running.country = first_days.country and running.calendar_date = first_days.calendar_date
    where running.calendar_date in (select calendar_date from game_days)
        and {{ in_window('running.calendar_date', forward_days=monthly - 1) }}
),

-- no day is missing of those that a figure looks back on
known as (
    select
        measures.*,
        coalesce(gaps.last_missing <= {{ dbt.dateadd('day', -weekly, 'measures.calendar_date') }}, true)
            as week_is_known,
        coalesce(gaps.last_missing <= {{ dbt.dateadd('day', -monthly, 'measures.calendar_date') }}, true)
            as month_is_known
    from measures
    left join gaps on measures.calendar_date = gaps.calendar_date
)

select
    calendar_date,
    country,
    cast(active_players as integer) as active_players,
    cast(case when week_is_known then weekly_players end as integer) as weekly_active_players,
    cast(case when month_is_known then monthly_players end as integer) as monthly_active_players,
    case when month_is_known then cast(active_players as double) / nullif(monthly_players, 0) end
        as stickiness,
    cast(new_players as integer) as new_players,
    cast(returning_players as integer) as returning_players,
    cast(sessions as bigint) as sessions,
    cast(play_time_seconds as bigint) as play_time_seconds,
    cast(sessions as double) / nullif(active_players, 0) as sessions_per_active_player,
    cast(play_time_seconds as double) / nullif(active_players, 0) as play_time_per_active_player,
    cast(revenue as decimal(18, 2)) as revenue,
    cast(purchases as bigint) as purchases,
    cast(payers as integer) as payers,
    cast(revenue as double) / nullif(active_players, 0) as arpdau,
    cast(revenue as double) / nullif(payers, 0) as arppu,
    cast(payers as double) / nullif(active_players, 0) as payer_conversion
from known
where monthly_players + new_players + purchases > 0
