-- One row is a player. A time that is none becomes null here and fails the test of rows, which names
-- it; a plain cast would stop every model with the text alone.
select
    player_id,
    try_cast(first_seen_at as {{ dbt.type_timestamp() }}) as first_seen_at,
    upper(trim(country)) as country,
    lower(trim(language)) as language,
    lower(trim(difficulty_selected)) as difficulty,
    load_batch_id
from {{ source('eventlog', 'raw_players') }}
