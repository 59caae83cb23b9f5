-- One row is a chapter of the story, of a batch's players on a platform at a difficulty: where the
-- story loses its players. Only a player's first playthrough counts, up to the first event of the
-- second.
{{ config(materialized='incremental') }}

with story_events as (
    select player_id, event_name, event_time, chapter, chapter_name, playthrough, load_batch_id
    from {{ ref('fct_game_events') }}
    where {{ in_batches('load_batch_id') }}
        and event_name in ('game_started', 'chapter_started', 'chapter_completed', 'player_died')
),

second_playthroughs as (
    select player_id, min(event_time) as started_at
    from story_events
    where playthrough >= 2
    group by player_id
),

player_chapters as (
    select
        story_events.load_batch_id,
        story_events.player_id,
        story_events.chapter,
        max(story_events.chapter_name) as chapter_name,
        sum(case when story_events.event_name = 'chapter_started' then 1 else 0 end) as attempts,
        sum(case when story_events.event_name = 'chapter_completed' then 1 else 0 end) as completions,
        sum(case when story_events.event_name = 'player_died' then 1 else 0 end) as deaths,
        max(
            case when story_events.event_name = 'chapter_started' then story_events.event_time end
        ) as last_started_at
    from story_events
    left join second_playthroughs on story_events.player_id = second_playthroughs.player_id
    where story_events.event_name <> 'game_started'
        and (
            second_playthroughs.started_at is null
            or story_events.event_time < second_playthroughs.started_at
        )
    group by story_events.load_batch_id, story_events.player_id, story_events.chapter
),

ranked_chapters as (
    select
        *,
        row_number() over (
            partition by load_batch_id, player_id order by last_started_at desc, chapter desc
        ) as recency
    from player_chapters
    where attempts > 0
)

select
    ranked_chapters.load_batch_id,
    ranked_chapters.chapter,
    max(ranked_chapters.chapter_name) as chapter_name,
    players.platform,
    players.difficulty,
    cast(count(*) as integer) as players_started,
    cast(sum(case when ranked_chapters.completions > 0 then 1 else 0 end) as integer)
        as players_completed,
    cast(sum(ranked_chapters.attempts) as integer) as attempts,
    cast(sum(ranked_chapters.deaths) as integer) as deaths,
    cast(sum(case when ranked_chapters.recency = 1 then 1 else 0 end) as integer)
        as players_stopped
from ranked_chapters
inner join {{ ref('dim_players') }} as players on ranked_chapters.player_id = players.player_id
group by
    ranked_chapters.load_batch_id,
    ranked_chapters.chapter,
    players.platform,
    players.difficulty
