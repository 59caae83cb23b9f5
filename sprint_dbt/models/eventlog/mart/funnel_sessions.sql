-- One row is a step of the session funnel, of a day's sessions on a platform at a difficulty. A
-- session is at a step when it has that event and those of all steps before it, in whatever order they
-- came: an enemy may fall before the first checkpoint.
with steps as (
    select 1 as step_number, 'game_started' as step
    union all
    select 2 as step_number, 'chapter_started' as step
    union all
    select 3 as step_number, 'checkpoint_reached' as step
    union all
    select 4 as step_number, 'enemy_killed' as step
    union all
    select 5 as step_number, 'chapter_completed' as step
),

sessions as (
    select
        session_date,
        platform,
        difficulty,
        case
            when game_starts = 0 then 0
            when chapters_started = 0 then 1
            when checkpoints = 0 then 2
            when kills = 0 then 3
            when chapters_completed = 0 then 4
            else 5
        end as last_step
    from {{ ref('fct_sessions') }}
),

counted as (
    select
        sessions.session_date,
        sessions.platform,
        sessions.difficulty,
        steps.step_number,
        steps.step,
        sum(case when sessions.last_step >= steps.step_number then 1 else 0 end) as reached,
        sum(case when sessions.last_step >= 1 then 1 else 0 end) as started
    from sessions
    cross join steps
    group by
        sessions.session_date,
        sessions.platform,
        sessions.difficulty,
        steps.step_number,
        steps.step
)

select
    session_date,
    platform,
    difficulty,
    step_number,
    step,
    cast(reached as integer) as sessions,
    cast(started as integer) as sessions_started,
    cast(reached as double) / nullif(started, 0) as share_of_started
from counted
