-- One row is a moment, every five minutes of each day on which a session started. Sessions go on after
-- midnight: a run builds its window and the day after it. A session counts until the end of that day.
{%- set seconds = 300 %}
{%- set slots_a_day = 288 %}

with parts as (
    select
        player_id,
        session_id,
        started_at,
        case
            when event_datetime < {{ dbt.dateadd('day', 2, 'event_date') }} then event_datetime
            else {{ dbt.dateadd('day', 2, 'event_date') }}
        end as ended_at
    from {{ ref('fact_session') }}
    where {{ in_window('event_date', back_days=1, forward_days=1) }}
),

parts_in_order as (
    select
        started_at,
        ended_at,
        max(ended_at) over (
            partition by player_id
            order by started_at, ended_at, session_id
            rows between unbounded preceding and 1 preceding
        ) as covered_until
    from parts
),

-- a player who is in two sessions at once is online once
online as (
    select
        case when covered_until > started_at then covered_until else started_at end as from_time,
        ended_at as to_time
    from parts_in_order
    where covered_until is null or covered_until < ended_at
),

-- the first of the moments in it, and the first after it: online at 12:00 is who came at 12:00:00 or
-- before, and left later than that
slots as (
    select
        {%- for slot, time in {'first_slot': 'from_time', 'end_slot': 'to_time'}.items() %}
        {%- set whole_seconds = epoch_seconds(dbt.dateadd('microsecond', 999999, time)) %}
        cast({{ whole_quotient(whole_seconds ~ ' + ' ~ (seconds - 1), seconds) }} as bigint)
            as {{ slot }}{{ ',' if not loop.last }}
        {%- endfor %}
    from online
),

days as (
    select distinct event_date as calendar_date
    from {{ ref('fact_session') }}
    where {{ in_window('event_date', forward_days=1) }}
),

moments as (
    select
        days.calendar_date,
        {{ dbt.datediff("cast('1970-01-01' as date)", 'days.calendar_date', 'day') }} * {{ slots_a_day }}
            + numbers.generated_number - 1 as slot
    from days
    cross join ({{ dbt.generate_series(slots_a_day) }}) as numbers
),

changes as (
    select first_slot as slot, count(*) as players from slots group by first_slot
    union all
    select end_slot as slot, -count(*) as players from slots group by end_slot
    union all
    select slot, 0 as players from moments
),

running as (
    select slot, sum(sum(players)) over (order by slot) as players_online
    from changes
    group by slot
),

gaps as (
    {{ last_missing_days(
        'days',
        'calendar_date',
        up_to=dbt.dateadd('day', -1, 'calendar_date'),
        days=loaded_days('sessions')
    ) }}
),

-- null where the day before is missing: who began to play on it may still be online
known as (
    select
        moments.slot,
        moments.calendar_date,
        case
            when coalesce(
                gaps.last_missing < {{ dbt.dateadd('day', -1, 'moments.calendar_date') }}, true
            ) then running.players_online
        end as players_online
    from moments
    inner join running on moments.slot = running.slot
    left join gaps on moments.calendar_date = gaps.calendar_date
)

select
    {{ timestamp_of_epoch_microseconds('cast(slot as bigint) * ' ~ seconds ~ ' * 1000000') }}
        as slot_started_at,
    calendar_date,
    cast(players_online as integer) as players_online,
    cast(max(players_online) over (partition by calendar_date) as integer) as day_peak
from known
