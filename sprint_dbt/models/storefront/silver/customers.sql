-- One row is a customer of the store, as registered.
{% set fields = {
    'street': 'varchar', 'city': 'varchar', 'region': 'varchar', 'postal_code': 'varchar'
} %}

with delivered as (
    {{ last_ingested(
        relation=source('bronze', 'raw_customers'),
        key=['customer_id', 'event_date'],
        columns=[
            'customer_id',
            'player_id',
            'email',
            'first_name',
            'last_name',
            'phone',
            'address',
            'country',
            'registered_at',
            'birth_date',
            'gender',
            'event_date'
        ],
        condition=in_window('event_date')
    ) }}
),

with_address as (
    select *, {{ json_read('address', fields) }} as found
    from delivered
)

select
    customer_id,
    player_id,
    lower(trim(email)) as email,
    first_name,
    last_name,
    phone,
    {{ json_columns('found', fields) }},
    country,
    registered_at,
    birth_date,
    gender,
    event_date
from with_address
