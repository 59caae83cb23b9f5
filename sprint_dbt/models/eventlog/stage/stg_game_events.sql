-- One row is an event. A time that is none becomes null here, and fails this model's test of rows. A
-- property that is not of its type becomes null, too, and is counted: a warning; where its event needs
-- it, it fails the test of rows of fct_game_events.
{% set fields = {
    'playthrough': 'integer',
    'chapter': 'integer',
    'chapter_name': 'varchar',
    'attempt': 'integer',
    'checkpoint': 'integer',
    'place': 'varchar',
    'weather': 'varchar',
    'enemy': 'varchar',
    'weapon': 'varchar',
    'damage': 'integer',
    'headshot': 'boolean',
    'item': 'varchar',
    'quantity': 'integer',
    'seconds': 'integer',
    'score': 'integer',
} %}

with events as (
    select *, {{ json_read('properties', fields) }} as found
    from {{ source('eventlog', 'raw_game_events') }}
),

typed as (
    select
        *,
        {{ json_columns('found', fields) | indent(4) }}
    from events
)

select
    event_id,
    player_id,
    lower(trim(event_name)) as event_name,
    try_cast(event_time as {{ dbt.type_timestamp() }}) as event_time,
    lower(trim(platform)) as platform,
    game_version,
    {{ fields | join(',\n    ') }},
    {{ json_mistyped('found', fields) }} as mistyped,
    properties,
    load_batch_id
from typed
