-- Features and labels are of the same players and weeks. A row here is one that only one of them has.
{{ config(meta={'dagster': {'ref': {'name': 'player_labels_weekly'}}}) }}

with features as (
    select player_id, year_week
    from {{ ref('player_features_weekly') }}
    where {{ in_window('year_week', 'week', back_days=30, forward_days=77) }}
),

labels as (
    select player_id, year_week
    from {{ ref('player_labels_weekly') }}
    where {{ in_window('year_week', 'week', back_days=30, forward_days=77) }}
)

select
    coalesce(features.player_id, labels.player_id) as player_id,
    coalesce(features.year_week, labels.year_week) as year_week
from features
full outer join labels
    on features.player_id = labels.player_id
    and features.year_week = labels.year_week
where features.player_id is null
    or labels.player_id is null
