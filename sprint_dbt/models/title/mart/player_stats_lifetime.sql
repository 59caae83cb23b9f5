-- One row is a player who ever played. A run adds its window to the players whose row ends before it,
-- which reads no other day, and recomputes the others who play in it and those whose first and last day
-- of play enclose or meet it: a player who left a regenerated day has no row there any more, and would
-- keep the old totals.
{{ config(incremental_strategy='replace_span') }}

{%- set sums %}
    select
        player_id,
        -- where the player was on the last day of play
        max_by(country, calendar_date) as country,
        sum(total_kills) as total_kills,
        sum(total_deaths) as total_deaths,
        min(calendar_date) as first_played,
        max(calendar_date) as last_played
    from {{ ref('player_activity_daily') }}
{%- endset %}

with
{%- if is_incremental() and window_bounds() and replaces_rows() %}
window_sums as (
    {{- sums }}
    where {{ in_window('calendar_date') }}
    group by player_id
),

recomputed_players as (
    select player_id
    from {{ this }}
    where {{ span_meets_window('first_played', 'last_played') }}
    union
    -- who has no row, or one that begins after the window
    select window_sums.player_id
    from window_sums
    left join {{ this }} as standing
        on window_sums.player_id = standing.player_id
    where standing.player_id is null
        or standing.first_played >= date '{{ window_bounds().end }}'
),

lifetimes as (
    {{- sums }}
    where player_id in (select player_id from recomputed_players)
    group by player_id

    union all

    select
        standing.player_id,
        window_sums.country,
        standing.total_kills + window_sums.total_kills as total_kills,
        standing.total_deaths + window_sums.total_deaths as total_deaths,
        standing.first_played,
        window_sums.last_played
    from {{ this }} as standing
    inner join window_sums
        on standing.player_id = window_sums.player_id
    where standing.last_played < date '{{ window_bounds().start }}'
)
{%- else %}
lifetimes as (
    {{- sums }}
    group by player_id
)
{%- endif %}

select
    player_id,
    country,
    cast(total_kills as bigint) as total_kills,
    cast(total_deaths as bigint) as total_deaths,
    cast(total_kills as double) / nullif(total_deaths, 0) as kill_death_ratio,
    first_played,
    last_played
from lifetimes
