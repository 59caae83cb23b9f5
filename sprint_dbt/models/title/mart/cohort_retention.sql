-- One row is the players of a country who signed up on a day, a number of days later, where anybody of
-- the game played on that later day. A run builds its window and the 90 days after it: players who signed
-- up in it come back until then.
{%- set days_later = [1, 3, 7, 14, 30, 60, 90] %}
{%- set last = days_later | max %}

with day_numbers as (
    {%- for number in days_later %}
    select {{ number }} as day_number
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

played_days as (
    select distinct calendar_date
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date', forward_days=last) }}
),

cohorts as (
    select signup_date, country, count(*) as cohort_players
    from {{ source('dim', 'dim_players') }}
    where {{ in_window('signup_date', back_days=last, forward_days=last) }}
    group by signup_date, country
),

cohort_days as (
    select
        cohorts.*,
        day_numbers.day_number,
        cast(
            {{ dbt.dateadd('day', 'day_numbers.day_number', 'cohorts.signup_date') }} as date
        ) as calendar_date
    from cohorts
    cross join day_numbers
),

retained as (
    select
        players.signup_date,
        players.country,
        activity.calendar_date,
        count(*) as retained_players
    from {{ ref('player_activity_daily') }} as activity
    inner join {{ source('dim', 'dim_players') }} as players
        on activity.player_id = players.player_id
    where {{ in_window('activity.calendar_date', forward_days=last) }}
        and {{ in_window('players.signup_date', back_days=last, forward_days=last) }}
        and {{ dbt.datediff('players.signup_date', 'activity.calendar_date', 'day') }}
            in ({{ days_later | join(', ') }})
    group by players.signup_date, players.country, activity.calendar_date
)

select
    cohort_days.signup_date,
    cohort_days.country,
    cast(cohort_days.day_number as smallint) as day_number,
    cohort_days.calendar_date,
    cast(cohort_days.cohort_players as integer) as cohort_players,
    cast(coalesce(retained.retained_players, 0) as integer) as retained_players,
    cast(coalesce(retained.retained_players, 0) as double) / cohort_days.cohort_players as retention
from cohort_days
inner join played_days
    on cohort_days.calendar_date = played_days.calendar_date
left join retained
    on cohort_days.signup_date = retained.signup_date
    and cohort_days.country = retained.country
    and cohort_days.calendar_date = retained.calendar_date
