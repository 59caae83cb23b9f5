-- One row is an encounter: a run of beats at which two teams of a session are close.
{{ compute_encounters(
    centroids=ref('stage_centroids'),
    condition=in_window('event_date'),
    distance=env_var('SPRINT_ENCOUNTER_DISTANCE', '50'),
    gap_seconds=env_var('SPRINT_ENCOUNTER_GAP_SECONDS', '180'),
    beat=beat_microseconds()
) }}
