-- A player plays one session at a time: or an event would lie in two. A row here is a session that
-- starts before, or in the second in which, the player's last one ended.
with ordered_sessions as (
    select
        session_id,
        player_id,
        session_start,
        lag(session_id) over (
            partition by player_id order by session_start, session_id
        ) as session_before,
        lag(session_end) over (
            partition by player_id order by session_start, session_id
        ) as end_before
    from {{ ref('stg_sessions') }}
    where {{ in_batches('load_batch_id') }}
)

select session_id, player_id, session_start, session_before, end_before
from ordered_sessions
where session_start <= end_before
