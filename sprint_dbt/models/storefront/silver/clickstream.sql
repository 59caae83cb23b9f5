-- One row is an event of a web session.
with delivered as (
    {{ last_ingested(
        relation=source('bronze', 'raw_clickstream'),
        key=['session_id', 'sequence_number', 'event_date'],
        columns=[
            'session_id',
            'sequence_number',
            'event_type',
            'occurred_at',
            'page_url',
            'product_id',
            'order_id',
            'search_query',
            'event_date'
        ],
        condition=in_window('event_date')
    ) }}
)

select
    session_id,
    sequence_number,
    event_type,
    occurred_at,
    page_url,
    product_id,
    order_id,
    search_query,
    event_date
from delivered
