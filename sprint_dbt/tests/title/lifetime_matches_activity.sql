-- A player's lifetime is the sum of the player's days. A row here is a player whose totals, first or
-- last day differ from the daily activity, or who is in only one of the two. A run with a window reads
-- no other day: it looks at players who play in it, or whose first or last day is said to be in it. Of
-- those who played before or after it, the totals are at least the window's.
{{ config(meta={'dagster': {'ref': {'name': 'player_stats_lifetime'}}}) }}
{%- set bounds = window_bounds() %}

with days as (
    select
        player_id,
        sum(total_kills) as total_kills,
        sum(total_deaths) as total_deaths,
        min(calendar_date) as first_played,
        max(calendar_date) as last_played
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date') }}
    group by player_id
),

lifetimes as (
    select
        player_id,
        total_kills,
        total_deaths,
        first_played,
        last_played,
        {%- if bounds %}
        first_played >= date '{{ bounds.start }}' as begins_here,
        last_played < date '{{ bounds.end }}' as ends_here
        {%- else %}
        1 = 1 as begins_here,
        1 = 1 as ends_here
        {%- endif %}
    from {{ ref('player_stats_lifetime') }}
    where {{ in_window('first_played') }}
        or {{ in_window('last_played') }}
        or player_id in (select player_id from days)
)

select
    coalesce(lifetimes.player_id, days.player_id) as player_id,
    lifetimes.total_kills,
    days.total_kills as days_total_kills,
    lifetimes.total_deaths,
    days.total_deaths as days_total_deaths
from lifetimes
full outer join days on lifetimes.player_id = days.player_id
where lifetimes.player_id is null
    or days.player_id is null
    or lifetimes.total_kills < days.total_kills
    or lifetimes.total_deaths < days.total_deaths
    or lifetimes.first_played > days.first_played
    or lifetimes.last_played < days.last_played
    or (lifetimes.begins_here and lifetimes.first_played <> days.first_played)
    or (lifetimes.ends_here and lifetimes.last_played <> days.last_played)
    or (
        lifetimes.begins_here
        and lifetimes.ends_here
        and (lifetimes.total_kills <> days.total_kills or lifetimes.total_deaths <> days.total_deaths)
    )
