-- Nobody plays for less than no time. A row here is a player's day with negative play time.
select player_id, calendar_date, total_play_time_seconds
from {{ ref('player_activity_daily') }}
where {{ in_window('calendar_date') }}
    and total_play_time_seconds < 0
