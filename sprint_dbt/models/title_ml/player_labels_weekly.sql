-- One row is a row of player_features_weekly: what became of the player after the week. Each label is null
-- until every day that it looks at is loaded. A week looks ahead over 30 days: a run builds the weeks of its
-- window, those of the 30 days before it, and those whose features it builds anew.
{%- set horizons = {14: 'fortnight', 30: 'month'} %}
{%- set back, ahead = 7 * 11, 30 %}

with player_weeks as (
    select
        player_id,
        year_week,
        cast({{ dbt.dateadd('day', 6, 'year_week') }} as date) as last_day
    from {{ ref('player_features_weekly') }}
    where {{ in_window('year_week', 'week', back_days=ahead, forward_days=back) }}
),

-- a week of the features is one with a sign of the player
active_weeks as (
    select
        player_id,
        year_week
    from {{ ref('player_features_weekly') }}
    where {{ in_window('year_week', 'week', back_days=ahead, forward_days=back + 14) }}
),

came_back as (
    select distinct
        player_weeks.player_id,
        player_weeks.year_week
    from player_weeks
    inner join active_weeks
        on player_weeks.player_id = active_weeks.player_id
        and active_weeks.year_week > player_weeks.last_day
        and active_weeks.year_week <= {{ dbt.dateadd('day', 14, 'player_weeks.last_day') }}
),

bought as (
    select
        player_weeks.player_id,
        player_weeks.year_week,
        sum(case when purchases.event_date <= {{ dbt.dateadd('day', 14, 'player_weeks.last_day') }} then 1 else 0 end)
            as purchases_in_14_days,
        sum(purchases.purchase_price) as spend_in_30_days
    from {{ source('raw', 'event_transaction') }} as purchases
    inner join player_weeks
        on purchases.player_id = player_weeks.player_id
        and purchases.event_date > player_weeks.last_day
        and purchases.event_date <= {{ dbt.dateadd('day', 30, 'player_weeks.last_day') }}
    where {{ in_window('purchases.event_date', 'week', back_days=ahead, forward_days=back + 37) }}
    group by player_weeks.player_id, player_weeks.year_week
),

weeks as (
    select distinct year_week, last_day
    from player_weeks
),

last_loaded as (
    select max(day) as day from ({{ days_with_records() }}) as loaded
),

missing as (
    {{ missing_days(days_with_records()) }}
),

-- the weeks of which each horizon is over, with no day missing
{%- for days, horizon in horizons.items() %}

{{ horizon }} as (
    select weeks.year_week
    from weeks
    cross join last_loaded
    where {{ dbt.dateadd('day', days, 'weeks.last_day') }} <= last_loaded.day
        and not exists (
            select 1
            from missing
            where missing.first_missing <= {{ dbt.dateadd('day', days, 'weeks.last_day') }}
                and missing.last_missing > weeks.last_day
        )
),
{%- endfor %}

ends as (
    select
        weeks.year_week,
        fortnight.year_week is not null as fortnight_is_over,
        month.year_week is not null as month_is_over
    from weeks
    left join fortnight on weeks.year_week = fortnight.year_week
    left join month on weeks.year_week = month.year_week
)

select
    player_weeks.player_id,
    player_weeks.year_week,
    case when ends.fortnight_is_over then came_back.player_id is null end as left_in_14_days,
    case when ends.fortnight_is_over then coalesce(bought.purchases_in_14_days, 0) > 0 end as bought_in_14_days,
    cast(case when ends.month_is_over then coalesce(bought.spend_in_30_days, 0) end as decimal(18, 2))
        as spend_in_30_days
from player_weeks
inner join ends on player_weeks.year_week = ends.year_week
left join came_back
    on player_weeks.player_id = came_back.player_id
    and player_weeks.year_week = came_back.year_week
left join bought
    on player_weeks.player_id = bought.player_id
    and player_weeks.year_week = bought.year_week
