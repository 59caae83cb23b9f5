-- One row is a cell of the map on a day, seen from above, where any heartbeat was.
{%- set side = env_var('SPRINT_MAP_CELL', '5') | float %}

with cells as (
    select
        event_date as calendar_date,
        cast(floor(cast(position_x as double) / {{ side }}) as integer) as cell_x,
        cast(floor(cast(position_y as double) / {{ side }}) as integer) as cell_y,
        count(*) as heartbeats
    from {{ ref('event_heartbeat') }}
    where {{ in_window('event_date') }}
    group by
        event_date,
        cast(floor(cast(position_x as double) / {{ side }}) as integer),
        cast(floor(cast(position_y as double) / {{ side }}) as integer)
)

select
    calendar_date,
    cell_x,
    cell_y,
    cast(cell_x * {{ side }} as double) as x_from,
    cast(cell_y * {{ side }} as double) as y_from,
    cast({{ side }} as double) as cell_side,
    cast(heartbeats as bigint) as heartbeats
from cells
