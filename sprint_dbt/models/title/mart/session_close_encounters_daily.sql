-- One row is a session in which teams met at least once.
select
    session_id,
    calendar_day,
    cast(sum(daily_encounter_count) as integer) as close_encounter_count,
    cast(sum(total_encounter_seconds) as bigint) as total_encounter_seconds
from {{ ref('encounter_summary_daily') }}
where {{ in_window('calendar_day') }}
group by session_id, calendar_day
