-- 5. In which month did a player play the most days in a row?
-- A streak is counted within its month; several months where they tie.
with ranked_months as (
    select
        year_month,
        max_consecutive_days_played,
        rank() over (order by max_consecutive_days_played desc) as place
    from {{ ref('player_consecutive_days_monthly') }}
    where player_id = cast('{{ var("player", "00000000-0000-0000-0000-000000000000") }}' as uuid)
)

select
    year_month,
    max_consecutive_days_played as days_in_a_row
from ranked_months
where place = 1
order by year_month
