{# What Spark says differently. The session is in UTC, and a `timestamp` there is one without a zone. #}

{% macro spark__epoch_microseconds(timestamp) -%}
    unix_micros(cast({{ timestamp }} as timestamp_ltz))
{%- endmacro %}

{% macro spark__epoch_seconds(timestamp) -%}
    unix_seconds(cast({{ timestamp }} as timestamp_ltz))
{%- endmacro %}

{% macro spark__timestamp_of_epoch_microseconds(microseconds) -%}
    cast(timestamp_micros({{ microseconds }}) as timestamp_ntz)
{%- endmacro %}

{% macro spark__row_hash(columns) -%}
    xxhash64({{ columns | join(', ') }})
{%- endmacro %}

{% macro spark__json_read(json, fields) -%}
    parse_json({{ json }})
{%- endmacro %}

{% macro spark__json_key(read, key) -%}
    try_variant_get({{ read }}, '$.{{ key }}', 'variant')
{%- endmacro %}

{% macro spark__json_is_there(value) -%}
    {{ value }} is not null and not is_variant_null({{ value }})
{%- endmacro %}

{% macro spark__json_value(value, type) -%}
    {%- set kinds = {'varchar': 'STRING', 'boolean': 'BOOLEAN', 'double': 'BIGINT|DECIMAL|DOUBLE'} -%}
    case
        when schema_of_variant({{ value }}) rlike '^({{ kinds.get(type, 'BIGINT') }})'
            then try_variant_get({{ value }}, '$', '{{ spark_type(type) }}')
    end
{%- endmacro %}

{% macro spark__json_array_rows(relation, columns, json, fields) -%}
    select
        {{ columns | join(', ') }}
        {%- for key in fields %},
        element.{{ key }} as {{ key }}
        {%- endfor %}
    from (
        select
            {{ columns | join(', ') }},
            explode(from_json({{ json }}, 'array<struct<{{ spark_fields(fields) }}>>')) as element
        from {{ relation }} as arrays
    ) as elements
{%- endmacro %}

{# {key: its SQL type} as the fields of a struct. #}
{% macro spark_fields(fields) -%}
    {%- for key, type in fields.items() -%}
    {{ key }}: {{ spark_type(type) }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# dbt-spark's own cuts to whole seconds, and gives a type with a zone. #}
{% macro spark__dateadd(datepart, interval, from_date_or_timestamp) -%}
    timestampadd({{ datepart }}, {{ interval }}, cast({{ from_date_or_timestamp }} as timestamp_ntz))
{%- endmacro %}

{# dbt-spark's own raises an error on null, and has no exact seconds. #}
{% macro spark__datediff(first_date, second_date, datepart) -%}
    {%- if datepart == 'day' -%}
    datediff({{ second_date }}, {{ first_date }})
    {%- elif datepart == 'second' -%}
    ({{ spark__epoch_seconds(second_date) }} - {{ spark__epoch_seconds(first_date) }})
    {%- elif datepart == 'month' -%}
    (12 * (year({{ second_date }}) - year({{ first_date }})) + month({{ second_date }}) - month({{ first_date }}))
    {%- else -%}
    timestampdiff({{ datepart }}, {{ first_date }}, {{ second_date }})
    {%- endif -%}
{%- endmacro %}

{# A contract's type in Spark's words, as engines/spark_engine.py has it. Spark has no uuid: its 16 bytes
   are binary, which sorts as it does. #}
{% macro spark_type(data_type) -%}
    {%- set types = {'uuid': 'binary', 'varchar': 'string', 'timestamp': 'timestamp_ntz', 'integer': 'int'} -%}
    {{ return(types.get(data_type | lower, data_type | lower)) }}
{%- endmacro %}

{# The check of a contract casts null to every column's type. #}
{% macro spark__get_empty_schema_sql(columns) -%}
    select
    {%- for column in columns.values() %}
        cast(null as {{ spark_type(column['data_type']) }}) as {{ column['name'] }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# Where a table's files lie: the platform reads them, and finds them again in its next session. #}
{% macro spark_location(relation) -%}
    {{ env_var('SPRINT_SPARK_WAREHOUSE', 'spark-warehouse') }}/{{ relation.schema }}/{{ relation.identifier }}
{%- endmacro %}

{% macro spark__create_csv_table(model, agate_table) -%}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- call statement('create') -%}
        create table {{ this.render() }} (
        {%- for column in agate_table.column_names %}
            {{ column }} {{ spark_type(types[column]) }}{{ ',' if not loop.last }}
        {%- endfor %}
        ) using parquet location '{{ spark_location(this) }}'
    {%- endcall -%}
    {{ return('') }}
{%- endmacro %}

{# `dim_products` comes from the catalogue (load_csv_rows.sql), of which the platform makes a copy where
   workers read it. What was there is overwritten: a table that was dropped leaves its files. #}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- set sql -%}
        insert overwrite table {{ this.render() }}
        select
        {%- for column in agate_table.column_names %}
            {{ spark_value(column, types[column]) }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
        from {% if model.name == 'dim_products' %}{{ env_var('SPRINT_TITLE', 'sprint') }}_raw.catalogue{% else %}values
        {%- for row in agate_table.rows %}
            (
            {%- for value in row -%}
            {{ "'" ~ (value | string | replace("\\", "\\\\") | replace("'", "\\'")) ~ "'" if value is not none else 'cast(null as string)' }}
            {{- ', ' if not loop.last }}
            {%- endfor -%}
            ){{ ',' if not loop.last }}
        {%- endfor %} as file ({{ agate_table.column_names | join(', ') }})
        {%- endif %}
    {%- endset -%}
    {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
    {{ return(sql) }}
{%- endmacro %}

{# The value of a text column as the contract's type. #}
{% macro spark_value(column, data_type) -%}
    {%- if data_type | lower == 'uuid' -%}
    unhex(replace({{ column }}, '-', ''))
    {%- else -%}
    cast({{ column }} as {{ spark_type(data_type) }})
    {%- endif -%}
{%- endmacro %}

{# Whether a model may replace some of its rows. Plain Parquet tables replace whole partitions only: on
   Spark a model without a period is made anew. #}
{% macro replaces_rows() -%}
    {{ return(adapter.dispatch('replaces_rows')()) }}
{%- endmacro %}

{% macro default__replaces_rows() -%}
    {{ return(true) }}
{%- endmacro %}

{% macro spark__replaces_rows() -%}
    {{ return(false) }}
{%- endmacro %}

{# Before an invocation: raises an error where it would build on Spark what is not built there. #}
{% macro refuse_engine() %}
    {% if not execute or target.type != 'spark' %}{{ return('') }}{% endif %}
    {% for unique_id in selected_resources if unique_id in graph.nodes %}
        {% set node = graph.nodes[unique_id] %}
        {% if node.resource_type == 'model' and 'title' not in node.config.tags %}
            {% do exceptions.raise_compiler_error(
                node.name ~ " is not built on Spark: a title's weekly models run on DuckDB, the event log's"
                ~ " on DuckDB and Snowflake, the web store's on DuckDB (its raw tables also go to PostgreSQL)"
            ) %}
        {% endif %}
    {% endfor %}
{% endmacro %}
