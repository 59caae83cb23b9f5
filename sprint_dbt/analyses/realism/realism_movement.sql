-- How far a player gets from one beat to the next, and how far two teams' centroids are apart at a beat: medians in
-- units of a grid whose longer side is 200.
-- Days are a sample, spread evenly over those that have heartbeats and large enough for some millions of them.
{%- set first_day = "date '" ~ var('first_day', '2025-01-01') ~ "'" %}
{%- set last_day = "date '" ~ var('last_day', '2025-12-31') ~ "'" %}
{%- set beat = var('heartbeat_seconds', '30') %}
{%- set unit = '200.0 / ' ~ var('grid_side', '200') %}

with days as (
    select
        event_date,
        row_number() over (order by event_date) as place,
        sum(count(*)) over () as heartbeats
    from {{ source('raw', 'event_heartbeat') }}
    where event_date between {{ first_day }} and {{ last_day }}
    group by event_date
),

sampled as (
    select event_date from days where (place - 1) % ceil(heartbeats / 5e6) = 0
),

heartbeats as (
    select
        session_id,
        player_id,
        event_datetime,
        cast(position_x as double) as x,
        cast(position_y as double) as y,
        cast(position_z as double) as z
    from {{ source('raw', 'event_heartbeat') }}
    where event_date in (select event_date from sampled)
),

moves as (
    select
        epoch(event_datetime - lag(event_datetime) over beats) / {{ beat }} as beats,
        sqrt(
            pow(x - lag(x) over beats, 2) + pow(y - lag(y) over beats, 2) + pow(z - lag(z) over beats, 2)
        ) as distance
    from heartbeats
    window beats as (partition by session_id, player_id order by event_datetime)
),

steps as (
    select median(distance * {{ unit }}) as median_step, count(*) as steps
    from moves
    -- over a beat that was lost it would be more than one step
    where beats between 0.5 and 1.5
),

apart as (
    select
        median(
            {{ unit }} * sqrt(
                pow(one.centroid_x - two.centroid_x, 2)
                + pow(one.centroid_y - two.centroid_y, 2)
                + pow(one.centroid_z - two.centroid_z, 2)
            )
        ) as median_distance,
        count(*) as pairs
    from {{ ref('stage_centroids') }} as one
    inner join {{ ref('stage_centroids') }} as two
        on one.session_id = two.session_id
        and one.event_datetime = two.event_datetime
        and one.team_id < two.team_id
    where one.event_date in (select event_date from sampled)
        and two.event_date in (select event_date from sampled)
)

select
    steps.median_step as step,
    steps.steps as step_of,
    apart.median_distance as team_distance,
    apart.pairs as team_distance_of
from steps
cross join apart
