{# Tests that models and sources share. Each reads its model once, within the run's window or batches
   (tests_in_run.sql), and returns the rows that are wrong. #}

{# No two rows agree in all of these columns. A repeated hash only makes a suspect, which is then
   compared in full: half the time and memory of grouping by long keys. #}
{% test unique_combination(model, columns) %}
{%- do require_arguments({'columns': columns}) %}
with suspects as (
    select suspect
    from (select {{ row_hash(columns) }} as suspect from {{ model }}) as hashed
    group by suspect
    having count(*) > 1
)

select {{ columns | join(', ') }}, count(*) as copies
from {{ model }}
where {{ row_hash(columns) }} in (select suspect from suspects)
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{# No two rows agree in all of these columns and in the moment. Where all moments of a group lie in beats
   of their own, none is there twice, and that few numbers per group show: a fraction of the time that
   unique_combination takes over heartbeats. Other groups are suspects, and compared in full. #}
{% test unique_moments(model, columns, moment) %}
{%- do require_arguments({'columns': columns, 'moment': moment}) %}
with suspects as (
    {{ groups_that_may_repeat(model, columns, moment) }}
)

select
    {%- for column in columns + [moment] %}
    tested.{{ column }},
    {%- endfor %}
    count(*) as copies
from (select * from {{ model }}) as tested
inner join suspects
    on {% for column in columns -%}
    {{ 'and ' if not loop.first }}tested.{{ column }} = suspects.{{ column }}
    {% endfor -%}
group by {% for column in columns + [moment] %}tested.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
having count(*) > 1
{% endtest %}

{# A query: the values of the columns of which two rows may have the same moment, each once. They may be
   more than those that have. #}
{% macro groups_that_may_repeat(model, columns, moment) -%}
    {{ return(adapter.dispatch('groups_that_may_repeat')(model, columns, moment)) }}
{%- endmacro %}

{% macro default__groups_that_may_repeat(model, columns, moment) -%}
    select {{ columns | join(', ') }}
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{%- endmacro %}

{# A bit for each of the 64 beats that are counted together: of more rows than bits two are in one
   beat. #}
{% macro duckdb__groups_that_may_repeat(model, columns, moment) -%}
    {%- set beat, parts = beat_microseconds() -%}
    {%- set number = '(epoch_us(' ~ moment ~ ') * ' ~ parts ~ ' // ' ~ beat ~ ')' -%}
    select distinct {{ columns | join(', ') }}
    from {{ model }}
    group by {{ columns | join(', ') }}, {{ number }} >> 6
    having count(*) > bit_count(bit_or(cast(1 as ubigint) << cast({{ number }} & 63 as ubigint)))
{%- endmacro %}

{# Every rule (what must hold: its condition) holds in every row; null counts as broken. A failing
   row names the first rule that it breaks. #}
{% test valid_rows(model, rules) %}
select *
from (
    select
        case
            {%- for rule, condition in rules.items() %}
            when not coalesce({{ condition }}, false) then '{{ rule | replace("'", "''") }}'
            {%- endfor %}
        end as broken_rule,
        *
    from {{ model }}
) as judged
where broken_rule is not null
{% endtest %}

{# The model's sums agree with those of the relation it is made from.

   to        the relation it is made from
   to_date   its date column: it is read for the periods that the window touches (`period`, with
             `back_days` and `forward_days`)
   to_batch  its batch column, instead: it is read for the run's batches
   keys      the columns to sum by: {column of the model: expression of `to`}
   sums      what to sum: {column of the model: expression of `to`} #}
{% test reconciles_with(
    model, to, keys, sums, to_date=none, period='day', back_days=0, forward_days=0, to_batch=none
) %}
{%- do require_arguments({'to': to}) %}
select
    {%- for key in keys %}
    {{ key }},
    {%- endfor %}
    {%- for here in sums %}
    sum({{ here }}_part) as {{ here }}_difference{{ ',' if not loop.last }}
    {%- endfor %}
from (
    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        {%- for here in sums %}
        {{ here }} as {{ here }}_part{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ model }}
    union all
    select
        {%- for there in keys.values() %}
        {{ there }},
        {%- endfor %}
        {%- for there in sums.values() %}
        -({{ there }}){{ ',' if not loop.last }}
        {%- endfor %}
    from {{ to }}
    where
        {% if to_date -%}
        {{ in_window(to_date, period, back_days, forward_days) }}
        {%- else -%}
        {{ in_batches(to_batch) if to_batch else '1 = 1' }}
        {%- endif %}
) as both_sides
group by {{ keys | join(', ') }}
having
    {%- for here in sums %}
    {{ 'or ' if not loop.first }}sum({{ here }}_part) <> 0
    {%- endfor %}
{% endtest %}

{# Every row that names a parent finds it, unless the parent may be of a day that was not built. The
   number of a missing parent shows its day: the store's numbers ascend day by day, so it lies between the
   days of the next smaller and the next larger one.

   to        the parents' model
   to_date   its day
   parents   {column of the model: column of `to`}; the first is the number that ascends #}
{% test finds_its(model, to, to_date, parents) %}
{%- do require_arguments({'to_date': to_date}) %}
{%- set child, parent = (parents.items() | list)[0] %}
with children as (
    select * from {{ model }}
),

orphans as (
    select children.*
    from children
    left join {{ to }} as parents
        on {% for child, parent in parents.items() -%}
        {{ 'and ' if not loop.first }}children.{{ child }} = parents.{{ parent }}
        {% endfor -%}
    where parents.{{ parent }} is null
        {%- for child in parents %}
        and children.{{ child }} is not null
        {%- endfor %}
),

parent_days as (
    select {{ to_date }} as day, min({{ parent }}) as first_number, max({{ parent }}) as last_number
    from {{ to }}
    group by {{ to_date }}
    union all
    select day, null as first_number, null as last_number
    from ({{ built_days(to.identifier) }}) as built
),

-- what precedes and follows each stretch of missing days
neighbours as (
    select
        day,
        lag(day) over (order by day) as day_before,
        max(max(last_number)) over (
            order by day rows between unbounded preceding and 1 preceding
        ) as number_before,
        min(min(first_number)) over (
            order by day rows between current row and unbounded following
        ) as number_after
    from parent_days
    group by day
),

missing_parents as (
    select coalesce(number_before, 0) as number_before, number_after
    from neighbours
    where day > {{ dbt.dateadd('day', 1, 'day_before') }}
        -- the store's first day has its first session
        or (day_before is null and not exists (select 1 from {{ ref('sessions') }} where session_id = 1))
)

select orphans.*
from orphans
where not exists (
    select 1
    from missing_parents
    where orphans.{{ child }} > missing_parents.number_before
        and (
            missing_parents.number_after is null
            or orphans.{{ child }} < missing_parents.number_after
        )
)
{% endtest %}
