-- 4. What is the lifetime kill/death ratio of a player?
-- The ratio is null for a player who never died.
select
    total_kills,
    total_deaths,
    kill_death_ratio,
    first_played,
    last_played
from {{ ref('player_stats_lifetime') }}
where player_id = cast('{{ var("player", "00000000-0000-0000-0000-000000000000") }}' as uuid)
