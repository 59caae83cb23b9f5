{# What SQL engines say differently. Models use these, and nothing of DuckDB's own: another engine
   adds its `<engine>__` variants here (Spark's are in spark_sql.sql). Snowflake runs the models of the
   event log. #}

{# Whole microseconds since 1970-01-01 (bigint). #}
{% macro epoch_microseconds(timestamp) -%}
    {{ return(adapter.dispatch('epoch_microseconds')(timestamp)) }}
{%- endmacro %}

{% macro default__epoch_microseconds(timestamp) -%}
    cast(extract(epoch from {{ timestamp }}) * 1000000 as bigint)
{%- endmacro %}

{% macro duckdb__epoch_microseconds(timestamp) -%}
    epoch_us({{ timestamp }})
{%- endmacro %}

{# Seconds since 1970-01-01, rounded down (bigint). #}
{% macro epoch_seconds(timestamp) -%}
    {{ return(adapter.dispatch('epoch_seconds')(timestamp)) }}
{%- endmacro %}

{% macro default__epoch_seconds(timestamp) -%}
    cast(floor(extract(epoch from {{ timestamp }})) as bigint)
{%- endmacro %}

{% macro duckdb__epoch_seconds(timestamp) -%}
    (epoch_ms({{ timestamp }}) // 1000)
{%- endmacro %}

{# How long a beat lasts, as a fraction of whole microseconds: [3000000, 1], or of a thirtieth of a
   second [1000000, 30]. #}
{% macro beat_microseconds() -%}
    {%- set parts = env_var('SPRINT_HEARTBEAT_SECONDS', '30').split('/') -%}
    {%- set microseconds, divisor = parts[0] | int * 1000000, (parts[1] if parts[1:] else 1) | int -%}
    {%- if microseconds % divisor == 0 -%}
        {{ return([microseconds // divisor, 1]) }}
    {%- endif -%}
    {{ return([microseconds, divisor]) }}
{%- endmacro %}

{# The type of a sum of seconds: whole where beats are. A variable, as models' YAML knows no macro. #}
{% macro seconds_type() -%}
    {{ return(env_var('SPRINT_SECONDS_TYPE', 'bigint')) }}
{%- endmacro %}

{# Seconds from one time to another, of that type. #}
{% macro seconds_between(begin, end) -%}
    {%- if seconds_type() == 'bigint' -%}
    ({{ epoch_seconds(end) }} - {{ epoch_seconds(begin) }})
    {%- else -%}
    (cast({{ epoch_microseconds(end) }} - {{ epoch_microseconds(begin) }} as decimal(18, 0)) * 0.000001)
    {%- endif -%}
{%- endmacro %}

{# The timestamp (UTC) that many microseconds after 1970-01-01. #}
{% macro timestamp_of_epoch_microseconds(microseconds) -%}
    {{ return(adapter.dispatch('timestamp_of_epoch_microseconds')(microseconds)) }}
{%- endmacro %}

{% macro default__timestamp_of_epoch_microseconds(microseconds) -%}
    {{ dbt.dateadd('microsecond', microseconds, "timestamp '1970-01-01 00:00:00'") }}
{%- endmacro %}

{% macro duckdb__timestamp_of_epoch_microseconds(microseconds) -%}
    make_timestamp({{ microseconds }})
{%- endmacro %}

{# A 64-bit hash of the columns: equal rows have equal hashes. For finding suspects within one query
   only; it is never stored, as engines and their versions differ. #}
{% macro row_hash(columns) -%}
    {{ return(adapter.dispatch('row_hash')(columns)) }}
{%- endmacro %}

{% macro default__row_hash(columns) -%}
    {{ dbt.hash(dbt.concat(columns | map('string') | list)) }}
{%- endmacro %}

{% macro duckdb__row_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}

{# The keys of a JSON object as columns, for a select list.

   json     a column of type json (Snowflake: variant)
   fields   {key: its SQL type}, which is also {column: its type}

   A key that is missing, or whose value is not of its type, is null. #}
{% macro json_columns(json, fields) -%}
    {{ return(adapter.dispatch('json_columns')(json, fields)) }}
{%- endmacro %}

{# DuckDB parses the text in every call that differs: one and the same call for all keys takes 3.4 s
   for 15 keys of 22 million events, a call per key 28 s. #}
{% macro duckdb__json_columns(json, fields) -%}
    {%- for key in fields -%}
    json_transform({{ json }}, '{{ tojson(fields) }}').{{ key }} as {{ key }}
    {{- ",\n    " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{% macro snowflake__json_columns(json, fields) -%}
    {%- for key, type in fields.items() -%}
    {%- set text = json ~ ":" ~ key ~ "::varchar" -%}
    {{ text if type == 'varchar' else "try_cast(" ~ text ~ " as " ~ type ~ ")" }} as {{ key }}
    {{- ",\n    " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# A query: one row for each element of a JSON array of objects.

   relation   what holds the array, in brackets where it is a query
   columns    its columns to keep
   json       its column of the array
   fields     {key of an element: its SQL type}, which is also {column: its type} #}
{% macro json_array_rows(relation, columns, json, fields) -%}
    {{ return(adapter.dispatch('json_array_rows')(relation, columns, json, fields)) }}
{%- endmacro %}

{% macro duckdb__json_array_rows(relation, columns, json, fields) -%}
    select
        {{ columns | join(', ') }}
        {%- for key in fields %},
        element.{{ key }} as {{ key }}
        {%- endfor %}
    from (
        select
            {{ columns | join(', ') }},
            unnest(json_transform({{ json }}, '{{ tojson([fields]) }}')) as element
        from {{ relation }} as arrays
    ) as elements
{%- endmacro %}

{% macro snowflake__json_array_rows(relation, columns, json, fields) -%}
    select
        {{ columns | join(', ') }},
        {{ json_columns('element.value', fields) }}
    from {{ relation }} as arrays, lateral flatten(input => parse_json({{ json }})) as element
{%- endmacro %}

{# The quotient of two whole numbers, neither negative, rounded down, as a double. `/` of integers is a
   double in one engine and a decimal in another. A double holds whole numbers exactly, and a quotient
   rounded to one is below a whole number where the true one is: for dividends below 2^52. #}
{% macro whole_quotient(dividend, divisor) -%}
    floor(cast({{ dividend }} as double) / ({{ divisor }}))
{%- endmacro %}

{# The quotient of a whole number and a positive one, rounded to a whole number, half away from zero,
   as a double. Engines round doubles that lie half between two numbers differently. #}
{% macro rounded_quotient(dividend, divisor) -%}
    (
        case when {{ dividend }} < 0 then -1 else 1 end
        * {{ whole_quotient('(2 * abs(' ~ dividend ~ ') + ' ~ divisor ~ ')', '2 * ' ~ divisor) }}
    )
{%- endmacro %}
