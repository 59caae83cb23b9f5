-- One row is a session.
{{ config(materialized='incremental') }}

with session_events as (
    select
        session_id,
        cast(count(*) as integer) as events,
        {%- for count, event_name in {
            'game_starts': 'game_started',
            'chapters_started': 'chapter_started',
            'chapters_completed': 'chapter_completed',
            'checkpoints': 'checkpoint_reached',
            'kills': 'enemy_killed',
            'deaths': 'player_died',
            'items_crafted': 'item_crafted',
        }.items() %}
        cast(sum(case when event_name = '{{ event_name }}' then 1 else 0 end) as integer) as {{ count }},
        {%- endfor %}
        max(case when event_name = 'chapter_started' then chapter end) as highest_chapter
    from {{ ref('fct_game_events') }}
    where {{ in_batches('load_batch_id') }}
    group by session_id
)

select
    sessions.session_id,
    sessions.player_id,
    players.country,
    players.language,
    players.difficulty,
    sessions.platform,
    cast(players.first_session_start as date) as cohort_date,
    sessions.session_date,
    sessions.session_start,
    sessions.session_end,
    sessions.duration_seconds,
    coalesce(session_events.events, 0) as events,
    coalesce(session_events.game_starts, 0) as game_starts,
    coalesce(session_events.chapters_started, 0) as chapters_started,
    coalesce(session_events.chapters_completed, 0) as chapters_completed,
    coalesce(session_events.checkpoints, 0) as checkpoints,
    coalesce(session_events.kills, 0) as kills,
    coalesce(session_events.deaths, 0) as deaths,
    coalesce(session_events.items_crafted, 0) as items_crafted,
    session_events.highest_chapter,
    cast(coalesce(session_events.events, 0) as double)
        * 60 / nullif(sessions.duration_seconds, 0) as events_per_minute,
    sessions.load_batch_id
from {{ ref('stg_sessions') }} as sessions
left join {{ ref('dim_players') }} as players on sessions.player_id = players.player_id
left join session_events on sessions.session_id = session_events.session_id
where {{ in_batches('sessions.load_batch_id') }}
