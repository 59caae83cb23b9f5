-- One row is a topic's day.
select
    event_date as calendar_date,
    topic,
    count(*) as tickets
from {{ source('support', 'tickets') }}
where {{ in_window('event_date') }}
group by event_date, topic
