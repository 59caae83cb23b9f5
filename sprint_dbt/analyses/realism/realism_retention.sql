-- Of the players who signed up after the launch week, how many came back exactly 1, 7 and 30 days later (per cent),
-- and how many of those who came back after 30 days still did after 90.
-- Who comes back signs on; in a title without sign-ons, plays. Days without anybody do not exist: a cohort counts
-- for a number of days where the later day exists.
{%- set launch = "date '" ~ var('launch_date', '2025-01-01') ~ "'" %}
{%- set first_day = "date '" ~ var('first_day', '2025-01-01') ~ "'" %}
{%- set last_day = "date '" ~ var('last_day', '2025-12-31') ~ "'" %}

with signed_on as (
    select player_id, event_date
    from {{ source('raw', 'event_signons') }}
    where event_date between {{ first_day }} and {{ last_day }}
),

came as (
    select player_id, event_date from signed_on
    union all
    select distinct player_id, event_date
    from {{ source('raw', 'event_session') }}
    where event_date between {{ first_day }} and {{ last_day }}
        and not exists (select 1 from signed_on)
),

days as (
    select distinct event_date from came
),

ages as (
    select unnest([1, 7, 30, 90]) as age
),

cohorts as (
    select signup_date, count(*) as players
    from {{ source('dim', 'dim_players') }}
    where signup_date between {{ launch }} + 7 and {{ last_day }}
    group by signup_date
),

returned as (
    select players.signup_date, came.event_date - players.signup_date as age, count(*) as players
    from came
    inner join {{ source('dim', 'dim_players') }} as players on came.player_id = players.player_id
    where came.event_date - players.signup_date in (select age from ages)
    group by players.signup_date, came.event_date - players.signup_date
),

counted as (
    select
        cohorts.signup_date,
        ages.age,
        cohorts.players,
        coalesce(returned.players, 0) as returned
    from cohorts
    cross join ages
    inner join days on days.event_date = cohorts.signup_date + ages.age
    left join returned on cohorts.signup_date = returned.signup_date and ages.age = returned.age
),

both_known as (
    select
        coalesce(sum(later.returned), 0) as after_90_days,
        coalesce(sum(counted.returned), 0) as after_30_days
    from counted
    inner join counted as later on counted.signup_date = later.signup_date
    where counted.age = 30 and later.age = 90
)

select
    {%- for age in [1, 7, 30] %}
    100.0 * sum(returned) filter (age = {{ age }}) / sum(players) filter (age = {{ age }}) as d{{ age }},
    coalesce(sum(players) filter (age = {{ age }}), 0) as d{{ age }}_of,
    {%- endfor %}
    any_value(after_90_days / nullif(after_30_days, 0)) as d90_of_d30,
    any_value(after_30_days) as d90_of_d30_of
from both_known
left join counted on true
