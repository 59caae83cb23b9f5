-- One row is a web session.
with delivered as (
    {{ last_ingested(
        relation=source('bronze', 'raw_sessions'),
        key=['session_id', 'event_date'],
        columns=[
            'session_id',
            'customer_id',
            'started_at',
            'ended_at',
            'device',
            'browser',
            'operating_system',
            'country',
            'city',
            'ip_address',
            'channel',
            'landing_page',
            'event_date'
        ],
        condition=in_window('event_date')
    ) }}
)

select
    session_id,
    customer_id,
    started_at,
    ended_at,
    cast({{ dbt.datediff('started_at', 'ended_at', 'second') }} as integer) as duration_seconds,
    device,
    browser,
    operating_system,
    country,
    city,
    ip_address,
    channel,
    landing_page,
    event_date
from delivered
