-- A player who started the story stops in one chapter of it. A row here is a batch where they do not
-- add up.
{{ config(meta={'dagster': {'ref': {'name': 'funnel_chapters'}}}) }}

select load_batch_id, sum(started) as players_started, sum(stopped) as players_stopped
from (
    select load_batch_id, count(distinct player_id) as started, 0 as stopped
    from {{ ref('fct_game_events') }}
    where {{ in_batches('load_batch_id') }}
        and event_name = 'chapter_started'
        and playthrough = 1
    group by load_batch_id
    union all
    select load_batch_id, 0 as started, sum(players_stopped) as stopped
    from {{ ref('funnel_chapters') }}
    where {{ in_batches('load_batch_id') }}
    group by load_batch_id
) as both_sides
group by load_batch_id
having sum(started) <> sum(stopped)
