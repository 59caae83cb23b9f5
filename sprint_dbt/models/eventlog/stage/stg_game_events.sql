-- One row is an event. A time or property that is not of its type becomes null here, and fails a test
-- of rows: the time's this model's, a property's that of fct_game_events, where it is read once.
select
    event_id,
    player_id,
    lower(trim(event_name)) as event_name,
    try_cast(event_time as {{ dbt.type_timestamp() }}) as event_time,
    lower(trim(platform)) as platform,
    game_version,
    {{ json_columns('properties', {
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
    }) }},
    properties,
    load_batch_id
from {{ source('eventlog', 'raw_game_events') }}
