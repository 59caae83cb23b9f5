-- One row is a pair of teams in a session that met at least once.
select
    session_id,
    team_1_id,
    team_2_id,
    event_date as calendar_day,
    cast(count(*) as integer) as daily_encounter_count,
    cast(
        sum({{ seconds_between('encounter_start', 'encounter_end') }})
        as {{ seconds_type() }}
    ) as total_encounter_seconds
from {{ ref('stage_encounters') }}
where {{ in_window('event_date') }}
group by session_id, team_1_id, team_2_id, event_date
