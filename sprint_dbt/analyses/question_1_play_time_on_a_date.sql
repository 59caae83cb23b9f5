-- 1. How long did a player play on a date?
-- A player who did not play that day has played for 0 seconds.
select
    cast(coalesce(sum(total_play_time_seconds), 0) as bigint) as play_time_seconds,
    round(cast(coalesce(sum(total_play_time_seconds), 0) as double) / 3600, 2) as play_time_hours,
    cast(coalesce(sum(sessions_count), 0) as bigint) as sessions
from {{ ref('player_activity_daily') }}
where
    player_id = cast('{{ var("player", "00000000-0000-0000-0000-000000000000") }}' as uuid)
    and calendar_date = cast('{{ var("date", "2025-01-01") }}' as date)
