-- Every event of the log is in fct_game_events once. A row here is a batch where it is not.
{{ config(meta={'dagster': {'ref': {'name': 'fct_game_events'}}}) }}

select load_batch_id, sum(logged) as events_logged, sum(found) as events_found
from (
    select load_batch_id, 1 as logged, 0 as found
    from {{ ref('stg_game_events') }}
    where {{ in_batches('load_batch_id') }}
    union all
    select load_batch_id, 0 as logged, 1 as found
    from {{ ref('fct_game_events') }}
    where {{ in_batches('load_batch_id') }}
) as both_sides
group by load_batch_id
having sum(logged) <> sum(found)
