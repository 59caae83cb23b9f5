{# Days that should be there and are not. They are known by the ledger (built_periods.sql): a database
   without one has no missing day. #}

{# A query: the days (`day`) of which the model was built, also those of which it has no row. #}
{% macro built_days(model_name) -%}
    {%- set ledger = ledger_schema(model, only_read=true) if execute else none -%}
    {%- if ledger -%}
        select distinct cast(period as date) as day
        from {{ ledger }}.built_from
        where model = '{{ model_name }}'
    {%- else -%}
        {{ no_days() }}
    {%- endif -%}
{%- endmacro %}

{# A query: the days (`day`) of the dataset that are loaded, also those without a row. #}
{% macro loaded_days(dataset) -%}
    {%- set ledger = ledger_schema(model, only_read=true) if execute else none -%}
    {%- if ledger -%}
        select partition_date as day
        from {{ ledger }}.loaded_partitions
        where dataset = '{{ dataset }}'
    {%- else -%}
        {{ no_days() }}
    {%- endif -%}
{%- endmacro %}

{% macro no_days() -%}
    select cast(null as date) as day where 1 = 0
{%- endmacro %}

{# A query: the stretches of missing days (`first_missing`, `last_missing`) before the last of `days`, a
   query. A store's begin after its first day that is there. A simulated title's begin with its launch
   (SPRINT_LAUNCH_DATE, read only while a node runs; else its first day): what is before it is not
   missing. A landed title has none: nothing says that a day without files should have some. #}
{% macro missing_days(days) -%}
    {%- set of_title = execute and of_a_title(model) -%}
    {%- set launch = env_var('SPRINT_LAUNCH_DATE', '') if of_title else '' -%}
    select
        cast({{ dbt.dateadd('day', 1, 'day_before') }} as date) as first_missing,
        cast({{ dbt.dateadd('day', -1, 'day') }} as date) as last_missing
    from (
        select day, lag(day) over (order by day) as day_before
        from (
            {{ days }}
            {%- if launch %}
            union
            select cast({{ dbt.dateadd('day', -1, "date '" ~ launch ~ "'") }} as date) as day
            {%- endif %}
        ) as there
        {%- if launch %}
        where day >= {{ dbt.dateadd('day', -1, "date '" ~ launch ~ "'") }}
        {%- endif %}
    ) as neighbours
    where day > {{ dbt.dateadd('day', 1, 'day_before') }}
    {%- if of_title and is_landed() %}
        and 1 = 0
    {%- endif %}
{%- endmacro %}

{# A query: for each period of `relation` (its column `period`) the last missing day of the stretches that
   begin up to the day `up_to`, as `last_missing`; no row for a period without one. A figure that looks
   back from there to a day is known where `last_missing` is earlier, or null. In a model that
   is not built whole each time `up_to` must be no later than the last day that is there of the period:
   whether a day after that one is missing or yet to come depends on days that are made later, and nobody
   would build the period again for them. #}
{% macro last_missing_days(relation, period, up_to, days) -%}
    select periods.{{ period }}, max(missing.last_missing) as last_missing
    from (select distinct {{ period }}, {{ up_to }} as up_to from {{ relation }}) as periods
    inner join ({{ missing_days(days) }}) as missing on missing.first_missing <= periods.up_to
    group by periods.{{ period }}
{%- endmacro %}

{# A condition: none of the days from `first` to `last` is missing, of `days`, a query. #}
{% macro no_day_missing(first, last, days) -%}
    not exists (
        select 1
        from ({{ missing_days(days) }}) as missing
        where missing.first_missing <= {{ last }}
            and missing.last_missing >= {{ first }}
    )
{%- endmacro %}
