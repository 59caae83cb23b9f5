-- One row is a player's ISO week (from Monday) of play: what a churn model learns from, and what became
-- of the player. A week looks back four weeks and ahead two: a run builds the weeks of its window, the
-- two before them and the four after.
{%- set ahead, before = 2, 4 %}
{%- set read = 7 * (ahead + before) %}

with days as (
    select
        player_id,
        calendar_date,
        country,
        sessions_count,
        total_play_time_seconds,
        total_kills,
        total_deaths,
        cast({{ dbt.date_trunc('week', 'calendar_date') }} as date) as year_week
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date', 'week', back_days=read, forward_days=read) }}
),

played_weeks as (
    select year_week, count(distinct calendar_date) as played_days
    from days
    group by year_week
),

spending as (
    select
        player_id,
        cast({{ dbt.date_trunc('week', 'event_date') }} as date) as year_week,
        count(*) as purchases,
        sum(purchase_price) as revenue
    from {{ source('raw', 'event_transaction') }}
    where {{ in_window('event_date', 'week', back_days=read, forward_days=read) }}
    group by player_id, cast({{ dbt.date_trunc('week', 'event_date') }} as date)
),

player_weeks as (
    select
        player_id,
        year_week,
        max_by(country, calendar_date) as country,
        count(*) as days_played,
        min(calendar_date) as first_day,
        max(calendar_date) as last_day,
        sum(sessions_count) as sessions,
        sum(total_play_time_seconds) as play_time_seconds,
        sum(total_kills) as kills,
        sum(total_deaths) as deaths
    from days
    group by player_id, year_week
),

-- also weeks in which a player bought and did not play: they count before a later one
weeks as (
    select
        coalesce(player_weeks.player_id, spending.player_id) as player_id,
        coalesce(player_weeks.year_week, spending.year_week) as year_week,
        {{ dbt.datediff("cast('1970-01-05' as date)", 'coalesce(player_weeks.year_week, spending.year_week)', 'day') }}
            as day_number,
        player_weeks.country,
        player_weeks.first_day,
        player_weeks.last_day,
        coalesce(player_weeks.days_played, 0) as days_played,
        coalesce(player_weeks.sessions, 0) as sessions,
        coalesce(player_weeks.play_time_seconds, 0) as play_time_seconds,
        coalesce(player_weeks.kills, 0) as kills,
        coalesce(player_weeks.deaths, 0) as deaths,
        coalesce(spending.purchases, 0) as purchases,
        coalesce(spending.revenue, 0) as revenue
    from player_weeks
    full outer join spending
        on player_weeks.player_id = spending.player_id
        and player_weeks.year_week = spending.year_week
),

history as (
    select
        *,
        coalesce(sum(days_played) over four_weeks, 0) as days_played_before,
        coalesce(sum(sessions) over four_weeks, 0) as sessions_before,
        coalesce(sum(play_time_seconds) over four_weeks, 0) as play_time_seconds_before,
        coalesce(sum(revenue) over four_weeks, 0) as revenue_before,
        max(last_day) over four_weeks as last_day_before,
        coalesce(sum(days_played) over two_weeks, 0) as days_played_after
    from weeks
    window
        four_weeks as (
            partition by player_id order by day_number
            range between {{ 7 * before }} preceding and 7 preceding
        ),
        two_weeks as (
            partition by player_id order by day_number
            range between 7 following and {{ 7 * ahead }} following
        )
),

{%- set four_weeks_before = dbt.dateadd('day', -7 * before, 'history.year_week') %}
{%- for gaps, days in {
    'play_gaps': built_days('player_activity_daily'), 'purchase_gaps': loaded_days('transactions')
}.items() %}

{{ gaps }} as (
    {{ last_missing_days('weeks', 'year_week', up_to=dbt.dateadd('day', -1, 'year_week'), days=days) }}
),
{%- endfor %}

-- no day of the four weeks before is missing
known as (
    select
        history.*,
        coalesce(play_gaps.last_missing < {{ four_weeks_before }}, true) as play_is_known,
        coalesce(purchase_gaps.last_missing < {{ four_weeks_before }}, true) as purchases_are_known
    from history
    left join play_gaps on history.year_week = play_gaps.year_week
    left join purchase_gaps on history.year_week = purchase_gaps.year_week
)

select
    known.player_id,
    known.year_week,
    known.country,
    cast(known.days_played as smallint) as days_played,
    cast(known.sessions as integer) as sessions,
    cast(known.play_time_seconds as bigint) as play_time_seconds,
    cast(known.kills as bigint) as kills,
    cast(known.deaths as bigint) as deaths,
    cast(known.purchases as integer) as purchases,
    cast(known.revenue as decimal(18, 2)) as revenue,
    cast({{ dbt.datediff('players.signup_date', 'known.last_day', 'day') }} as integer)
        as days_since_signup,
    cast(case when known.play_is_known then known.days_played_before end as smallint) as days_played_before,
    cast(case when known.play_is_known then known.sessions_before end as integer) as sessions_before,
    cast(case when known.play_is_known then known.play_time_seconds_before end as bigint) as play_time_seconds_before,
    cast(case when known.purchases_are_known then known.revenue_before end as decimal(18, 2)) as revenue_before,
    cast(
        case
            when known.play_is_known
                then {{ dbt.datediff('known.last_day_before', 'known.first_day', 'day') }}
        end as integer
    ) as days_since_last_played,
    case
        when known.days_played_after > 0 then false
        when one_later.played_days + two_later.played_days = {{ 7 * ahead }} then true
    end as churned
from known
left join {{ source('dim', 'dim_players') }} as players
    on known.player_id = players.player_id
left join played_weeks as one_later
    on one_later.year_week = {{ dbt.dateadd('day', 7, 'known.year_week') }}
left join played_weeks as two_later
    on two_later.year_week = {{ dbt.dateadd('day', 14, 'known.year_week') }}
where known.days_played > 0
    and {{ in_window('known.year_week', 'week', back_days=7 * ahead, forward_days=7 * before) }}
