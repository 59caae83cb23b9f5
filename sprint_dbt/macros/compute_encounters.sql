{# Encounters between the teams of a session.

   centroids     the relation of team positions at the session's beats: event_date, session_id,
                 team_id, event_datetime (the beat's time), centroid_x, centroid_y, centroid_z (rounded
                 to 4 decimals), players
   condition     which rows of it to read
   distance      two teams are close at a beat when their centroids are at most so many units apart
   gap_seconds   close beats up to so far apart belong to one encounter
   beat          how long a beat lasts, as beat_microseconds() has it: an encounter ends with its last
                 close beat

   Returns one row per encounter. Beats that are not close, or where a team has nobody, only count as
   time that passes.

   Distances are exact. As doubles 64.01 - 14.01 is more than 50, so that one in seven pairs exactly 50
   apart would not be close. Positions are whole hundredths: a centroid of 4 decimals and its number
   of players (up to 99) give back the sum they come from, and with both teams' sums s and players n
   distance * n1 * n2 is the length of s1 * n2 - s2 * n1, in whole numbers. Rounding a centroid hence
   decides nothing, and moves no distance.

   A distance is rounded to whole ten-thousandths, half up. Engines round a double that is halfway
   between two numbers differently, and a root may be a bit beside it: near there whole numbers decide. #}
{% macro compute_encounters(centroids, condition, distance, gap_seconds, beat) %}
{#- whole seconds where beats are whole ones: their times have the same part of a second -#}
{%- set beat_is_whole = beat[1] == 1 and beat[0] % 1000000 == 0 -%}
{%- set clock = epoch_seconds if beat_is_whole else epoch_microseconds -%}
{%- set gap = gap_seconds | int * (1 if beat_is_whole else 1000000) -%}
{#- the most selective keys come first: engines compare them in order -#}
{%- set pair = 'session_id, team_1_id, team_2_id, event_date' -%}
{#- written out twice below: DuckDB would make a copy of a CTE that is read twice -#}
{%- set position_sums -%}
        select
            event_date,
            session_id,
            team_id,
            event_datetime,
            players,
            round(centroid_x * players * 100) as x,
            round(centroid_y * players * 100) as y,
            round(centroid_z * players * 100) as z
        from {{ centroids }}
        where {{ condition }}
{%- endset -%}
with pairs as (
    select
        one.event_date,
        one.session_id,
        one.team_id as team_1_id,
        two.team_id as team_2_id,
        one.event_datetime,
        cast(one.players * two.players as double) as scale,
        one.x * two.players - two.x * one.players as x,
        one.y * two.players - two.y * one.players as y,
        one.z * two.players - two.z * one.players as z
    from (
        {{ position_sums }}
    ) as one
    inner join (
        {{ position_sums }}
    ) as two
        on one.session_id = two.session_id
        and one.event_datetime = two.event_datetime
        and one.event_date = two.event_date
        and one.team_id < two.team_id
),

close_pairs as (
    select
        event_date,
        session_id,
        team_1_id,
        team_2_id,
        event_datetime,
        scale,
        x,
        y,
        z,
        100 * sqrt(x * x + y * y + z * z) / scale as ten_thousandths
    from pairs
    where x * x + y * y + z * z
        <= scale * scale * cast({{ ((distance | float * 100) | round(6)) ** 2 }} as double)
),

-- halfway is where 200 * length of the whole numbers = (2 * ten_thousandths rounded down + 1) * scale
close_beats as (
    select
        event_date,
        session_id,
        team_1_id,
        team_2_id,
        event_datetime,
        case
            when abs(ten_thousandths - floor(ten_thousandths) - 0.5) > 0.0001
                then floor(ten_thousandths + 0.5)
            when 40000 * ({{ exact_square('x') }} + {{ exact_square('y') }} + {{ exact_square('z') }})
                >= {{ exact_square('((2 * floor(ten_thousandths) + 1) * scale)') }}
                then floor(ten_thousandths) + 1
            else floor(ten_thousandths)
        end as distance
    from close_pairs
),

-- Close beats of the same stretch of time no longer than the gap are of one encounter: each stretch is
-- then one row, and there are far fewer to put in order.
stretches as (
    select
        {{ pair }},
        min(event_datetime) as first_beat,
        max(event_datetime) as last_beat,
        count(*) as close_heartbeats,
        min(distance) as distance
    from close_beats
    group by {{ pair }}, {{ whole_quotient(clock('event_datetime'), gap + 1) }}
),

marked_stretches as (
    select
        *,
        case
            when {{ clock('first_beat') }}
                - lag({{ clock('last_beat') }}) over (
                    partition by {{ pair }} order by first_beat
                ) <= {{ gap }} then 0
            else 1
        end as starts_encounter
    from stretches
),

numbered_stretches as (
    select
        *,
        sum(starts_encounter) over (
            partition by {{ pair }} order by first_beat rows unbounded preceding
        ) as encounter_number
    from marked_stretches
)

select
    session_id,
    team_1_id,
    team_2_id,
    min(first_beat) as encounter_start,
    {% if beat_is_whole -%}
    {{ dbt.dateadd('second', beat[0] // 1000000, 'max(last_beat)') }} as encounter_end,
    {%- else -%}
    {{ dbt.dateadd('microsecond', beat[0] // beat[1], 'max(last_beat)') }} as encounter_end,
    {%- endif %}
    cast(sum(close_heartbeats) as integer) as close_heartbeats,
    cast(min(distance) as double) / 10000 as min_distance,
    event_date
from numbered_stretches
group by {{ pair }}, encounter_number
{%- endmacro %}

{# The square of a whole number that a double holds, with all its digits. #}
{% macro exact_square(number) -%}
    cast({{ number }} as decimal(38, 0)) * cast({{ number }} as decimal(38, 0))
{%- endmacro %}
