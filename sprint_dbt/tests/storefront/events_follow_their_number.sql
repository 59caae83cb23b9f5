-- The events of a session are numbered in the order of time, without a gap. A row here is a session
-- where they are not.
select session_id, event_date
from (
    select
        session_id,
        event_date,
        sequence_number,
        occurred_at,
        lag(sequence_number, 1, 0) over by_number as number_before,
        lag(occurred_at) over by_number as time_before
    from {{ ref('clickstream') }}
    where {{ in_window('event_date') }}
    window by_number as (partition by event_date, session_id order by sequence_number)
) as numbered
where sequence_number <> number_before + 1
    or occurred_at < time_before
group by session_id, event_date
