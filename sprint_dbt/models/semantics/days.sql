-- One row is a day: what MetricFlow counts time by. Nothing else reads it, and no run builds it.
select cast(
    {{ dbt.dateadd('day', 'cast(generated_number - 1 as integer)', "cast('2010-01-01' as date)") }} as date
) as calendar_date
from ({{ dbt.generate_series(11000) }}) as numbers
