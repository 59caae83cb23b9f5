{# What SQL engines say differently. Models use these, and nothing of DuckDB's own: another engine
   is to run them later, and adds its `<engine>__` variants here. #}

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
