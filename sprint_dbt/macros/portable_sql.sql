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

{# A JSON object (Snowflake: a variant) with the values of some keys at hand, for a column of its own:

   fields   {key: its SQL type}

   `json_columns` and `json_mistyped` read that column. DuckDB would parse the text anew in every branch
   of a `case`: to look for values of other types took twenty times as long. #}
{% macro json_read(json, fields) -%}
    {{ return(adapter.dispatch('json_read')(json, fields)) }}
{%- endmacro %}

{% macro duckdb__json_read(json, fields) -%}
    {%- set every = {} -%}
    {%- for key in fields -%}{%- do every.update({key: 'JSON'}) -%}{%- endfor -%}
    json_transform({{ json }}, '{{ tojson(every) }}')
{%- endmacro %}

{% macro snowflake__json_read(json, fields) -%}
    {{ json }}
{%- endmacro %}

{# The keys of what was read as columns, for a select list: {key: its SQL type} is also {column: its
   type}. A key that is missing is null, and so is a value of another JSON type than its column's: "3" is
   no number, 3 no text, 3.5 no integer. #}
{% macro json_columns(read, fields) -%}
    {%- for key, type in fields.items() -%}
    {{ json_value(json_key(read, key), type) }} as {{ key }}
    {{- ",\n    " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# The keys of what was read whose values are of another JSON type than their columns', and so null
   there: their names as a text, or null. #}
{% macro json_mistyped(read, fields) -%}
    nullif(trim(
        {%- for key in fields %}
        {{ '|| ' if not loop.first }}case
            when {{ json_is_there(json_key(read, key)) }} and {{ key }} is null then '{{ key }} ' else ''
        end
        {%- endfor %}
    ), '')
{%- endmacro %}

{# The value of a key of what was read, as JSON. #}
{% macro json_key(read, key) -%}
    {{ return(adapter.dispatch('json_key')(read, key)) }}
{%- endmacro %}

{% macro duckdb__json_key(read, key) -%}
    {{ read }}.{{ key }}
{%- endmacro %}

{% macro snowflake__json_key(read, key) -%}
    {{ read }}:{{ key }}
{%- endmacro %}

{# Whether there is a value that is not JSON's null. #}
{% macro json_is_there(value) -%}
    {{ return(adapter.dispatch('json_is_there')(value)) }}
{%- endmacro %}

{% macro duckdb__json_is_there(value) -%}
    {{ value }} is not null
{%- endmacro %}

{% macro snowflake__json_is_there(value) -%}
    {{ value }}::varchar is not null
{%- endmacro %}

{# A JSON value as an SQL type; null where it is of another. #}
{% macro json_value(value, type) -%}
    {{ return(adapter.dispatch('json_value')(value, type)) }}
{%- endmacro %}

{# By the value's text, which json_transform has written anew: to ask for its type would parse it. A
   number with a point or an exponent is written with one. #}
{% macro duckdb__json_value(value, type) -%}
    {%- set text = 'cast(' ~ value ~ ' as varchar)' -%}
    {%- if type == 'varchar' -%}
    case when {{ text }}[1] = '"' then
        case when contains({{ text }}, '\') then {{ value }} ->> '$' else {{ text }}[2:-2] end
    end
    {%- elif type == 'boolean' -%}
    case {{ text }} when 'true' then true when 'false' then false end
    {%- elif type in ('smallint', 'integer', 'bigint') -%}
    case
        when not contains({{ text }}, '.') and not contains({{ text }}, 'e')
            then try_cast({{ text }} as {{ type }})
    end
    {%- else -%}
    try_cast({{ text }} as {{ type }})
    {%- endif -%}
{%- endmacro %}

{# Of these functions Snowflake has one for each type that the models there use. #}
{% macro snowflake__json_value(value, type) -%}
    as_{{ type }}({{ value }})
{%- endmacro %}

{# A query: one row for each element of a JSON array of objects.

   relation   what holds the array, in brackets where it is a query
   columns    its columns to keep
   json       its column of the array
   fields     {key of an element: its SQL type}, which is also {column: its type}, as in json_columns #}
{% macro json_array_rows(relation, columns, json, fields) -%}
    {{ return(adapter.dispatch('json_array_rows')(relation, columns, json, fields)) }}
{%- endmacro %}

{% macro duckdb__json_array_rows(relation, columns, json, fields) -%}
    {%- set every = {} -%}
    {%- for key in fields -%}{%- do every.update({key: 'JSON'}) -%}{%- endfor -%}
    select
        {{ columns | join(', ') }}
        {%- for key, type in fields.items() %},
        {{ json_value('element.' ~ key, type) }} as {{ key }}
        {%- endfor %}
    from (
        select
            {{ columns | join(', ') }},
            unnest(json_transform({{ json }}, '{{ tojson([every]) }}')) as element
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
    {{ return(adapter.dispatch('rounded_quotient')(dividend, divisor)) }}
{%- endmacro %}

{% macro default__rounded_quotient(dividend, divisor) -%}
    (
        case when {{ dividend }} < 0 then -1 else 1 end
        * {{ whole_quotient('(2 * abs(' ~ dividend ~ ') + ' ~ divisor ~ ')', '2 * ' ~ divisor) }}
    )
{%- endmacro %}

{# It rounds halves away from zero; a quotient that is not a half is no half as a double either. #}
{% macro duckdb__rounded_quotient(dividend, divisor) -%}
    round(cast({{ dividend }} as double) / ({{ divisor }}))
{%- endmacro %}
