-- A centroid is of heartbeats that no other centroid counts: the players of a day's centroids are at most
-- its heartbeats. A row here is a day of which they are more, or of which only one of the two is there.
-- That a team has one centroid at a beat needs no test: the model groups by them.
{{ config(meta={'dagster': {'ref': {'name': 'stage_centroids'}}}) }}

with centroids as (
    select event_date, sum(players) as players
    from {{ ref('stage_centroids') }}
    where {{ in_window('event_date') }}
    group by event_date
),

heartbeats as (
    select event_date, count(*) as heartbeats
    from {{ ref('event_heartbeat') }}
    where {{ in_window('event_date') }}
    group by event_date
)

select
    coalesce(centroids.event_date, heartbeats.event_date) as event_date,
    centroids.players,
    heartbeats.heartbeats
from centroids
full outer join heartbeats on centroids.event_date = heartbeats.event_date
where coalesce(centroids.players, 0) > coalesce(heartbeats.heartbeats, 0)
    or centroids.players is null
    or heartbeats.heartbeats is null
