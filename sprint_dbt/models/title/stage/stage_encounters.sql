-- One row is an encounter: a run of beats at which two teams of a session are close.
with centroids as (
    select *
    from {{ ref('stage_centroids') }}
    where {{ in_window('event_date') }}
),

encounters as (
    {{ compute_encounters(
        centroids='centroids',
        distance=env_var('SPRINT_ENCOUNTER_DISTANCE', '50'),
        gap_seconds=env_var('SPRINT_ENCOUNTER_GAP_SECONDS', '180'),
        heartbeat_seconds=env_var('SPRINT_HEARTBEAT_SECONDS', '30')
    ) | indent(4) }}
)

select
    session_id,
    team_1_id,
    team_2_id,
    encounter_start,
    encounter_end,
    close_heartbeats,
    min_distance,
    event_date
from encounters
