-- One row is a calendar day on a platform; a day on which nobody played there has none. A player has
-- one platform, so that every column adds up over platforms; players do not add up over days.
select
    session_date as calendar_date,
    platform,
    cast(count(distinct player_id) as integer) as active_players,
    cast(
        count(distinct case when session_date = cohort_date then player_id end) as integer
    ) as new_players,
    cast(
        count(distinct case when session_date > cohort_date then player_id end) as integer
    ) as returning_players,
    cast(count(*) as integer) as sessions,
    cast(sum(duration_seconds) as bigint) as play_time_seconds
from {{ ref('fct_sessions') }}
group by session_date, platform
