{# Encounters between the teams of a session.

   centroids     a relation or CTE of team positions at the session's beats: event_date, session_id,
                 team_id, event_datetime (the beat's time), centroid_x, centroid_y, centroid_z
   distance      two teams are close at a beat when their centroids are at most so many units apart
   gap_seconds   close beats up to so far apart belong to one encounter
   heartbeat_seconds   how long a beat lasts: an encounter ends with its last close beat

   Returns one row per encounter. Beats that are not close, or where a team has nobody, only count as
   time that passes. #}
{% macro compute_encounters(centroids, distance, gap_seconds, heartbeat_seconds) %}
{#- Centroids have four decimals. As doubles 50.1 - 0.1 may miss 50 by a hair, so that a pair exactly
    `distance` apart would be close or not by luck; whole ten-thousandths are exact (up to 9,000 units). -#}
{%- set scale = 10000 -%}
{%- set pair = 'event_date, session_id, team_1_id, team_2_id' -%}
with positions as (
    select
        event_date,
        session_id,
        team_id,
        event_datetime,
        round(centroid_x * {{ scale }}) as x,
        round(centroid_y * {{ scale }}) as y,
        round(centroid_z * {{ scale }}) as z
    from {{ centroids }}
),

pairs as (
    select
        one.event_date,
        one.session_id,
        one.team_id as team_1_id,
        two.team_id as team_2_id,
        one.event_datetime,
        (one.x - two.x) * (one.x - two.x)
        + (one.y - two.y) * (one.y - two.y)
        + (one.z - two.z) * (one.z - two.z) as squared_distance
    from positions as one
    inner join positions as two
        on one.session_id = two.session_id
        and one.event_datetime = two.event_datetime
        and one.event_date = two.event_date
        and one.team_id < two.team_id
),

close_beats as (
    select *
    from pairs
    where squared_distance <= {{ (distance | float * scale) ** 2 }}
),

marked_beats as (
    select
        *,
        case
            when {{ epoch_seconds('event_datetime') }}
                - lag({{ epoch_seconds('event_datetime') }}) over (
                    partition by {{ pair }} order by event_datetime
                ) <= {{ gap_seconds | int }} then 0
            else 1
        end as starts_encounter
    from close_beats
),

numbered_beats as (
    select
        *,
        sum(starts_encounter) over (
            partition by {{ pair }} order by event_datetime rows unbounded preceding
        ) as encounter_number
    from marked_beats
)

select
    session_id,
    team_1_id,
    team_2_id,
    min(event_datetime) as encounter_start,
    {{ dbt.dateadd('second', heartbeat_seconds | int, 'max(event_datetime)') }} as encounter_end,
    cast(count(*) as integer) as close_heartbeats,
    round(sqrt(min(squared_distance)) / {{ scale }}, 4) as min_distance,
    event_date
from numbered_beats
group by {{ pair }}, encounter_number
{%- endmacro %}
