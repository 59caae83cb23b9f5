-- One row is a player's ISO week (from Monday) in which the player was active: what was known of the
-- player when the week ended. A week looks back over twelve weeks, itself included: a run builds the
-- weeks of its window and the eleven after them. Nothing of a later day is read for a week's row.
{%- set spans = {'one': 1, 'four': 4, 'twelve': 12} %}
{%- set back = 7 * 11 %}
{#- a week with a sign of the player ends with at most six days without -#}
{%- set silences = range(7) %}
{%- set sums = {
    'days_active': 'days_active', 'sessions': 'sessions', 'play_seconds': 'play_seconds', 'kills': 'kills',
    'deaths': 'deaths', 'wins': 'wins', 'party_sessions': 'party_sessions', 'purchases': 'purchases',
    'spend': 'spend'
} %}

with records as (
    select
        player_id,
        event_date as day,
        country,
        platform,
        1 as active,
        0 as sessions,
        0 as play_seconds,
        0 as kills,
        0 as deaths,
        0 as wins,
        0 as party_sessions,
        0 as purchases,
        0 as renewals,
        cast(0 as decimal(18, 2)) as spend,
        cast(0 as decimal(9, 2)) as price
    from {{ source('raw', 'event_signons') }}
    where {{ in_window('event_date', 'week', back_days=back, forward_days=back) }}
    union all
    select
        player_id,
        event_date as day,
        country,
        null as platform,
        1 as active,
        1 as sessions,
        event_length_seconds as play_seconds,
        kills,
        deaths,
        case when won then 1 else 0 end as wins,
        case when party_id is null then 0 else 1 end as party_sessions,
        0 as purchases,
        0 as renewals,
        0 as spend,
        0 as price
    from {{ source('raw', 'event_session') }}
    where {{ in_window('event_date', 'week', back_days=back, forward_days=back) }}
    union all
    select
        player_id,
        event_date as day,
        null as country,
        null as platform,
        -- what renews by itself is no sign of the player
        case when is_recurring then 0 else 1 end as active,
        0 as sessions,
        0 as play_seconds,
        0 as kills,
        0 as deaths,
        0 as wins,
        0 as party_sessions,
        1 as purchases,
        case when is_recurring then 1 else 0 end as renewals,
        purchase_price as spend,
        purchase_price as price
    from {{ source('raw', 'event_transaction') }}
    where {{ in_window('event_date', 'week', back_days=back, forward_days=back) }}
),

player_days as (
    select
        player_id,
        day,
        max(country) as country,
        max(platform) as platform,
        max(active) as active,
        sum(sessions) as sessions,
        sum(play_seconds) as play_seconds,
        sum(kills) as kills,
        sum(deaths) as deaths,
        sum(wins) as wins,
        sum(party_sessions) as party_sessions,
        sum(purchases) as purchases,
        sum(renewals) as renewals,
        sum(spend) as spend,
        max(price) as price
    from records
    group by player_id, day
),

-- the day of activity before each
active_days as (
    select
        player_id,
        day,
        lag(day) over (partition by player_id order by day) as day_before
    from player_days
    where active = 1
),

pauses as (
    select
        player_id,
        cast({{ dbt.date_trunc('week', 'day') }} as date) as year_week,
        day,
        day_before,
        {{ dbt.datediff('day_before', 'day', 'day') }} as days
    from active_days
),

-- the pauses that ended in the week
week_pauses as (
    select
        player_id,
        year_week,
        max(day_before) as day_before_last,
        min(day) as first_day,
        min(day_before) as day_before_first,
        sum(days * days) as squares
        {%- for silent in silences %},
        sum(case when days > {{ silent }} then 1 else 0 end) as longer_than_{{ silent }}
        {%- endfor %}
    from pauses
    group by player_id, year_week
),

party_sessions as (
    select
        player_id,
        session_id,
        party_id,
        event_date
    from {{ source('raw', 'event_session') }}
    where party_id is not null
        and {{ in_window('event_date', 'week', back_days=back, forward_days=back) }}
),

-- who came to a match with whom, by week
met as (
    select distinct
        own.player_id,
        mates.player_id as mate_id,
        cast({{ dbt.date_trunc('week', 'own.event_date') }} as date) as year_week
    from party_sessions as own
    inner join party_sessions as mates
        on own.session_id = mates.session_id
        and own.party_id = mates.party_id
        and own.event_date = mates.event_date
        and own.player_id <> mates.player_id
),

-- also weeks in which a pass was renewed, and nothing else: they count before a later one
player_weeks as (
    select
        player_id,
        cast({{ dbt.date_trunc('week', 'day') }} as date) as year_week,
        max(country) as country,
        max(platform) as platform,
        sum(active) as days_active,
        sum(case when day >= {{ dbt.dateadd('day', 4, dbt.date_trunc('week', 'day')) }} then active else 0 end)
            as days_active_3d,
        sum(case when day >= {{ dbt.dateadd('day', 5, dbt.date_trunc('week', 'day')) }} then active else 0 end)
            as weekend_days,
        max(case when active = 1 then day end) as last_active,
        sum(sessions) as sessions,
        sum(play_seconds) as play_seconds,
        sum(kills) as kills,
        sum(deaths) as deaths,
        sum(wins) as wins,
        sum(party_sessions) as party_sessions,
        sum(purchases) as purchases,
        max(case when purchases > 0 then day end) as last_purchase,
        max(case when renewals > 0 then day end) as last_renewal,
        sum(spend) as spend,
        max(price) as price
    from player_days
    group by player_id, cast({{ dbt.date_trunc('week', 'day') }} as date)
),

numbered as (
    select
        player_weeks.*,
        week_pauses.day_before_last,
        week_pauses.first_day,
        week_pauses.day_before_first,
        coalesce(week_pauses.squares, 0) as squares
        {%- for silent in silences %},
        coalesce(week_pauses.longer_than_{{ silent }}, 0) as longer_than_{{ silent }}
        {%- endfor %},
        cast({{ dbt.dateadd('day', 6, 'player_weeks.year_week') }} as date) as last_day,
        {{ dbt.datediff("cast('1970-01-05' as date)", 'player_weeks.year_week', 'day') }} as day_number
    from player_weeks
    left join week_pauses
        on player_weeks.player_id = week_pauses.player_id
        and player_weeks.year_week = week_pauses.year_week
),

looked_back as (
    select
        player_id,
        year_week,
        last_day,
        days_active,
        days_active_3d,
        sum(days_active) over two as days_active_2w,
        sum(weekend_days) over twelve as weekend_days_12w,
        last_active,
        day_before_last,
        {{ dbt.datediff('last_active', 'last_day', 'day') }} as days_since_active,
        min(first_day) over twelve as first_day,
        min(day_before_first) over twelve as day_before_first,
        sum(squares) over twelve as squares
        {%- for silent in silences %},
        sum(longer_than_{{ silent }}) over twelve as longer_than_{{ silent }}
        {%- endfor %},
        max(country) over twelve as country,
        max(platform) over twelve as platform,
        count(case when days_active > 0 then 1 end) over twelve as weeks_active_12w,
        max(last_purchase) over twelve as last_purchase,
        max(last_renewal) over twelve as last_renewal,
        max(price) over twelve as highest_price_12w
        {%- for figure, column in sums.items() %}{% for span, weeks in spans.items() %},
        {%- if weeks == 1 %}
        {{ column }} as {{ figure }}_1w
        {%- else %}
        sum({{ column }}) over {{ span }} as {{ figure }}_{{ weeks }}w
        {%- endif %}
        {%- endfor %}{% endfor %}
    from numbered
    window
        two as (
            partition by player_id order by day_number
            range between 7 preceding and current row
        ),
        {%- for span, weeks in spans.items() if weeks > 1 %}
        {{ span }} as (
            partition by player_id order by day_number
            range between {{ 7 * (weeks - 1) }} preceding and current row
        ){{ ',' if not loop.last }}
        {%- endfor %}
),

-- The pause before the first day of the twelve weeks began before them, and is not looked at: it is
-- known or not by what else the run builds. Any other pause begins with a day of these weeks.
paused as (
    select
        player_id,
        year_week,
        case
            when day_before_first < {{ dbt.dateadd('day', -back, 'year_week') }}
                then {{ dbt.datediff('day_before_first', 'first_day', 'day') }}
            else 0
        end as first_pause,
        squares,
        case days_since_active
            {%- for silent in silences %}
            when {{ silent }} then longer_than_{{ silent }}
            {%- endfor %}
        end as as_long
    from looked_back
),

-- whom a player met in the twelve weeks, of each week of the player
known_mates as (
    select distinct
        numbered.player_id,
        numbered.year_week,
        met.mate_id
    from numbered
    inner join met
        on numbered.player_id = met.player_id
        and met.year_week >= {{ dbt.dateadd('day', -back, 'numbered.year_week') }}
        and met.year_week <= numbered.year_week
    where numbered.days_active > 0
),

mate_silences as (
    select
        known_mates.player_id,
        known_mates.year_week,
        known_mates.mate_id,
        max(theirs.last_active) as last_active,
        sum(
            case
                when theirs.year_week >= {{ dbt.dateadd('day', -21, 'known_mates.year_week') }} then theirs.days_active
                else 0
            end
        ) as days_active_4w
    from known_mates
    inner join numbered as theirs
        on known_mates.mate_id = theirs.player_id
        and theirs.year_week >= {{ dbt.dateadd('day', -back, 'known_mates.year_week') }}
        and theirs.year_week <= known_mates.year_week
    group by known_mates.player_id, known_mates.year_week, known_mates.mate_id
),

mates as (
    select
        player_id,
        year_week,
        count(*) as known,
        sum(case when last_active >= year_week then 1 else 0 end) as active,
        max(last_active) as last_active,
        min(last_active) as first_gone,
        sum(days_active_4w) as days_active_4w
    from mate_silences
    group by player_id, year_week
),

last_loaded as (
    select max(day) as day from ({{ days_with_records() }}) as loaded
),

ended as (
    select distinct numbered.year_week, numbered.last_day
    from numbered
    cross join last_loaded
    where numbered.last_day <= last_loaded.day
),

gaps as (
    {{ last_missing_days('ended', 'year_week', up_to='last_day', days=days_with_records()) }}
),

-- weeks that are over, and of whose twelve weeks no day is missing
known as (
    select ended.year_week
    from ended
    left join gaps on ended.year_week = gaps.year_week
    where coalesce(gaps.last_missing < {{ dbt.dateadd('day', -back, 'ended.year_week') }}, true) = true
)

select
    looked_back.player_id,
    looked_back.year_week,
    coalesce(players.country, looked_back.country, 'ZZ') as country,
    coalesce(players.platform, looked_back.platform, 'unknown') as platform,
    cast({{ dbt.datediff('players.signup_date', 'looked_back.last_day', 'day') }} as integer) as tenure_days,
    cast(looked_back.days_since_active as integer) as days_since_active,
    cast(
        case
            -- what lies before the twelve weeks is not looked at
            when looked_back.day_before_last >= {{ dbt.dateadd('day', -back, 'looked_back.year_week') }}
                then {{ dbt.datediff('looked_back.day_before_last', 'looked_back.last_active', 'day') }}
        end as integer
    ) as days_between_last_active,
    cast(
        paused.as_long - case when paused.first_pause > looked_back.days_since_active then 1 else 0 end as integer
    ) as pauses_as_long_12w,
    cast(paused.squares - paused.first_pause * paused.first_pause as integer) as squared_pauses_12w,
    cast({{ dbt.datediff('looked_back.last_purchase', 'looked_back.last_day', 'day') }} as integer)
        as days_since_purchase,
    cast({{ dbt.datediff('looked_back.last_renewal', 'looked_back.last_day', 'day') }} as integer)
        as days_since_renewal,
    cast(
        {{ dbt.datediff('looked_back.last_day', dbt.dateadd('month', 1, dbt.date_trunc('month', 'looked_back.last_day')), 'day') }}
        as integer
    ) as days_to_next_month,
    cast(looked_back.days_active_3d as integer) as days_active_3d,
    cast(looked_back.days_active_2w as integer) as days_active_2w,
    cast(looked_back.weekend_days_12w as integer) as weekend_days_12w,
    cast(looked_back.weeks_active_12w as integer) as weeks_active_12w,
    cast(coalesce(mates.known, 0) as integer) as mates_12w,
    cast(coalesce(mates.active, 0) as integer) as mates_active_1w,
    cast(coalesce(mates.days_active_4w, 0) as integer) as mates_days_active_4w,
    cast({{ dbt.datediff('mates.last_active', 'looked_back.last_day', 'day') }} as integer) as shortest_mate_silence,
    cast({{ dbt.datediff('mates.first_gone', 'looked_back.last_day', 'day') }} as integer) as longest_mate_silence,
    cast(looked_back.highest_price_12w as decimal(9, 2)) as highest_price_12w
    {%- for figure in sums %}{% for weeks in spans.values() %},
    cast(looked_back.{{ figure }}_{{ weeks }}w as {{ 'decimal(18, 2)' if figure == 'spend' else 'bigint' }}) as {{ figure }}_{{ weeks }}w
    {%- endfor %}{% endfor %}
from looked_back
inner join known on looked_back.year_week = known.year_week
inner join paused
    on looked_back.player_id = paused.player_id
    and looked_back.year_week = paused.year_week
left join mates
    on looked_back.player_id = mates.player_id
    and looked_back.year_week = mates.year_week
left join {{ source('dim', 'dim_players') }} as players
    on looked_back.player_id = players.player_id
    -- who signs up later is not known yet
    and players.signup_date <= looked_back.last_day
where looked_back.days_active > 0
    and {{ in_window('looked_back.year_week', 'week', forward_days=back) }}
