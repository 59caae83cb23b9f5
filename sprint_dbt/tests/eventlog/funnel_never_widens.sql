-- No step of the session funnel has more sessions than the one before. A row here is a step that has.
with steps as (
    select
        session_date,
        platform,
        difficulty,
        step_number,
        sessions,
        lag(sessions) over (
            partition by session_date, platform, difficulty order by step_number
        ) as sessions_before
    from {{ ref('funnel_sessions') }}
)

select session_date, platform, difficulty, step_number, sessions, sessions_before
from steps
where sessions > sessions_before
