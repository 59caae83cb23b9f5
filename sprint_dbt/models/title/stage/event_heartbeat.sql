-- One row is a heartbeat. A view: heartbeats are the bulk of the database and are stored once.
{{ config(materialized='view') }}

select
    session_id,
    player_id,
    team_id,
    event_datetime,
    position_x,
    position_y,
    position_z,
    event_date
from {{ source('raw', 'event_heartbeat') }}
