-- A player has one platform and one batch: or players would not add up over them. A row here is a
-- player with several.
{{ config(meta={'dagster': {'ref': {'name': 'stg_sessions'}}}) }}

select sessions.player_id
from {{ ref('stg_sessions') }} as sessions
inner join {{ ref('stg_players') }} as players on sessions.player_id = players.player_id
where {{ in_batches('sessions.load_batch_id') }}
group by sessions.player_id
having min(sessions.platform) <> max(sessions.platform)
    or min(sessions.load_batch_id) <> max(players.load_batch_id)
    or max(sessions.load_batch_id) <> max(players.load_batch_id)
