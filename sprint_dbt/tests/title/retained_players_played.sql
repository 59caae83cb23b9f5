-- Who is retained on a day signed up and played that many days later. A row here is a cohort's day where
-- the mart counts other players than sign-ups and activity do, summed over countries.
{{ config(meta={'dagster': {'ref': {'name': 'cohort_retention'}}}) }}

with mart as (
    select signup_date, calendar_date, sum(retained_players) as retained_players
    from {{ ref('cohort_retention') }}
    where {{ in_window('calendar_date') }}
    group by signup_date, calendar_date
),

played as (
    select players.signup_date, activity.calendar_date, count(*) as retained_players
    from {{ ref('player_activity_daily') }} as activity
    inner join {{ source('dim', 'dim_players') }} as players
        on activity.player_id = players.player_id
    where {{ in_window('activity.calendar_date') }}
    group by players.signup_date, activity.calendar_date
)

select
    mart.signup_date,
    mart.calendar_date,
    mart.retained_players,
    played.retained_players as players_who_played
from mart
left join played
    on mart.signup_date = played.signup_date
    and mart.calendar_date = played.calendar_date
where mart.retained_players <> coalesce(played.retained_players, 0)
