-- One row is a row of player_features_weekly: what became of the player after the week. Each label is null
-- until every day that it looks at is loaded. A week looks ahead over 30 days: a run builds the weeks of its
-- window, those of the 30 days before it, and those whose features it builds anew. What came is read from the
-- records: features of the weeks ahead may not be built yet.
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

signs as (
    select
        player_id,
        event_date
    from {{ source('raw', 'event_signons') }}
    where {{ in_window('event_date', 'week', back_days=ahead, forward_days=back + 14) }}
    union all
    select
        player_id,
        event_date
    from {{ source('raw', 'event_session') }}
    where {{ in_window('event_date', 'week', back_days=ahead, forward_days=back + 14) }}
    union all
    select
        player_id,
        event_date
    from {{ source('raw', 'event_transaction') }}
    where not is_recurring
        and {{ in_window('event_date', 'week', back_days=ahead, forward_days=back + 14) }}
),

-- fourteen days from a Monday are two of these weeks
active_weeks as (
    select distinct
        player_id,
        cast({{ dbt.date_trunc('week', 'event_date') }} as date) as year_week
    from signs
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

days_with_purchases as (
    select distinct event_date as day
    from {{ source('raw', 'event_transaction') }}
    where {{ in_window('event_date', 'week', back_days=ahead, forward_days=back + 37) }}
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
        fortnight.year_week is not null as fortnight_is_over
        {%- for days, horizon in horizons.items() %},
        {{ horizon }}.year_week is not null
        {#- a studio may deliver purchases later than all else: those of a day are there where it has any #}
        {%- if execute and is_landed() %}
        and exists (
            select 1
            from days_with_purchases
            where days_with_purchases.day = {{ dbt.dateadd('day', days, 'weeks.last_day') }}
        )
        {%- endif %} as purchases_of_{{ horizon }}_are_there
        {%- endfor %}
    from weeks
    left join fortnight on weeks.year_week = fortnight.year_week
    left join month on weeks.year_week = month.year_week
)

select
    player_weeks.player_id,
    player_weeks.year_week,
    case when ends.fortnight_is_over then came_back.player_id is null end as left_in_14_days,
    case when ends.purchases_of_fortnight_are_there then coalesce(bought.purchases_in_14_days, 0) > 0 end
        as bought_in_14_days,
    cast(case when ends.purchases_of_month_are_there then coalesce(bought.spend_in_30_days, 0) end as decimal(18, 2))
        as spend_in_30_days
from player_weeks
inner join ends on player_weeks.year_week = ends.year_week
left join came_back
    on player_weeks.player_id = came_back.player_id
    and player_weeks.year_week = came_back.year_week
left join bought
    on player_weeks.player_id = bought.player_id
    and player_weeks.year_week = bought.year_week
