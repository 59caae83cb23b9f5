-- One row is a cohort (a batch's players of a platform and difficulty whose first session was on one
-- day) on its day 0, 1, 7, 14 or 30: who played on exactly that day. A batch is a window of
-- observation: a day after its last session is not mature yet, and has no row.
{{ config(materialized='incremental') }}

with days as (
    select 0 as day_number
    union all
    select 1 as day_number
    union all
    select 7 as day_number
    union all
    select 14 as day_number
    union all
    select 30 as day_number
),

sessions as (
    select load_batch_id, player_id, cohort_date, platform, difficulty, session_date
    from {{ ref('fct_sessions') }}
    where {{ in_batches('load_batch_id') }}
),

observed as (
    select load_batch_id, max(session_date) as last_date
    from sessions
    group by load_batch_id
),

activity as (
    select
        load_batch_id,
        cohort_date,
        platform,
        difficulty,
        {{ dbt.datediff('cohort_date', 'session_date', 'day') }} as day_number,
        count(distinct player_id) as players
    from sessions
    group by load_batch_id, cohort_date, platform, difficulty, session_date
),

cohorts as (
    select load_batch_id, cohort_date, platform, difficulty, players
    from activity
    where day_number = 0
)

select
    cohorts.load_batch_id,
    cohorts.cohort_date,
    cohorts.platform,
    cohorts.difficulty,
    days.day_number,
    cast(cohorts.players as integer) as cohort_players,
    cast(coalesce(activity.players, 0) as integer) as retained_players,
    cast(coalesce(activity.players, 0) as double) / cohorts.players as retention_rate
from cohorts
inner join observed on cohorts.load_batch_id = observed.load_batch_id
inner join days
    on {{ dbt.datediff('cohorts.cohort_date', 'observed.last_date', 'day') }} >= days.day_number
left join activity
    on cohorts.load_batch_id = activity.load_batch_id
    and cohorts.cohort_date = activity.cohort_date
    and cohorts.platform = activity.platform
    and cohorts.difficulty = activity.difficulty
    and days.day_number = activity.day_number
