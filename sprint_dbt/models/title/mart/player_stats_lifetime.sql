-- One row is a player who ever played. A run recomputes the players who play in its window and those
-- whose first and last day of play enclose or meet it: a player who left a regenerated day has no row
-- there any more, and would keep the old totals.
{{ config(incremental_strategy='replace_span') }}

with touched_players as (
    select player_id
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date') }}
    {% if is_incremental() and replaces_rows() %}
    union
    select player_id
    from {{ this }}
    where {{ span_meets_window('first_played', 'last_played') }}
    {% endif %}
)

select
    player_id,
    -- where the player was on the last day of play
    max_by(country, calendar_date) as country,
    cast(sum(total_kills) as bigint) as total_kills,
    cast(sum(total_deaths) as bigint) as total_deaths,
    cast(sum(total_kills) as double) / nullif(sum(total_deaths), 0) as kill_death_ratio,
    min(calendar_date) as first_played,
    max(calendar_date) as last_played
from {{ ref('player_activity_daily') }}
{% if replaces_rows() -%}
where player_id in (select player_id from touched_players)
{% endif -%}
group by player_id
