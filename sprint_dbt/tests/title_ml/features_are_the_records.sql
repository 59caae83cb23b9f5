-- A week's sessions and revenue are those of its players' records. A row here is a week where they differ.
{{ config(meta={'dagster': {'ref': {'name': 'player_features_weekly'}}}) }}

with features as (
    select
        year_week,
        sum(sessions_1w) as sessions,
        sum(play_seconds_1w) as play_seconds
    from {{ ref('player_features_weekly') }}
    where {{ in_window('year_week', 'week', forward_days=77) }}
    group by year_week
),

played as (
    select
        cast({{ dbt.date_trunc('week', 'event_date') }} as date) as year_week,
        count(*) as sessions,
        sum(event_length_seconds) as play_seconds
    from {{ source('raw', 'event_session') }}
    where {{ in_window('event_date', 'week', forward_days=77) }}
    group by cast({{ dbt.date_trunc('week', 'event_date') }} as date)
)

select
    features.year_week,
    features.sessions,
    played.sessions as recorded_sessions,
    features.play_seconds,
    played.play_seconds as recorded_play_seconds
from features
left join played on features.year_week = played.year_week
where features.sessions <> coalesce(played.sessions, 0)
    or features.play_seconds <> coalesce(played.play_seconds, 0)
