-- One row is a player's part in a session.
{{ config(materialized='view') }}

select
    session_id,
    player_id,
    team_id,
    country,
    started_at,
    event_datetime,
    event_length_seconds,
    kills,
    deaths,
    event_date
from {{ source('raw', 'event_session') }}
