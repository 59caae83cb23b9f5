{# Incremental models on Spark: tables of Parquet files in folders by period (meta: period_column), of
   which Spark itself keeps no list. dbt-spark's own materialization knows only its own strategies, and
   leaves a period that became empty as it was.

   replace_period   overwrites the periods of the new rows in one job, whose renames are its commit, and
                    empties the window's periods that have no new row. A run that died in between is
                    mended by the next one of that window.
   replace_span     makes the table anew.

   A row outside the window's periods, and a null in a column that must have none, fail the job before it
   has replaced anything. #}
{% materialization incremental, adapter='spark', supported_languages=['sql'] -%}
    {%- do require_meta() -%}
    {%- set meta = config.get('meta', {}) -%}
    {%- set period_column = meta.period_column -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_relation(this) -%}
    {%- set new_rows = this.identifier ~ '__new' -%}

    {{ run_hooks(pre_hooks) }}
    {{ get_assert_columns_equivalent(sql) }}
    {%- if existing is not none and (existing.is_view or should_full_refresh()) -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- call statement('create') -%}
        create table if not exists {{ target_relation }} (
        {%- for column in model.columns.values() %}
            {{ column.name }} {{ spark_type(column.data_type) }}{{ ',' if not loop.last }}
        {%- endfor %}
        ) using parquet
        {%- if period_column %} partitioned by ({{ period_column }}){% endif %}
        location '{{ spark_location(target_relation) }}'
    {%- endcall -%}
    {%- call statement('new_rows') -%}
        create or replace temporary view {{ new_rows }} as
        {{ sql }}
    {%- endcall -%}
    {%- if period_column -%}
        {%- set window = in_replaced_window(meta) -%}
        {%- set before = spark_files(target_relation, period_column, window) -%}
        {%- call statement('main') -%}
            insert overwrite table {{ target_relation }} partition ({{ period_column }})
            {{ spark_guarded_rows(new_rows, period_column, window) }}
        {%- endcall -%}
        {#- what still has its file was not overwritten -#}
        {%- set after = spark_files(target_relation, period_column, window) -%}
        {%- for period, file in before.items() if after.get(period) == file -%}
            {%- call statement('empty_period') -%}
                insert overwrite table {{ target_relation }} partition ({{ period_column }} = date '{{ period }}')
                select {% for column in model.columns.values() if column.name != period_column -%}
                    cast(null as {{ spark_type(column.data_type) }}){{ ', ' if not loop.last }}
                {%- endfor %}
                where 1 = 0
            {%- endcall -%}
        {%- endfor -%}
    {%- else -%}
        {%- call statement('main') -%}
            insert overwrite table {{ target_relation }}
            {{ spark_guarded_rows(new_rows) }}
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}

{# A query: the new rows, the period last, as the folders have it; it raises an error for one that must
   not be there. #}
{% macro spark_guarded_rows(new_rows, period_column=none, window=none) -%}
    select
    {%- for column in model.columns.values() if column.name != period_column %}
        {% if column.constraints | selectattr('type', 'equalto', 'not_null') | list -%}
        coalesce({{ column.name }}, raise_error('{{ model.name }}: {{ column.name }} is null in a new row, which its contract forbids: nothing was replaced')) as {{ column.name }}
        {%- else -%}
        {{ column.name }}
        {%- endif -%}
        {{ ',' if period_column or not loop.last }}
    {%- endfor %}
    {%- if period_column %}
        case
            when {{ period_column }} is not null and ({{ window }}) then {{ period_column }}
            else cast(raise_error(concat('{{ model.name }}: new rows lie outside the window\'s periods, as ',
                coalesce(cast({{ period_column }} as string), 'null'), ': nothing was replaced')) as date)
        end as {{ period_column }}
    {%- endif %}
    from {{ new_rows }}
{%- endmacro %}

{# {period: a file of its folder} within the window. Reads no more than the names and the files' ends. #}
{% macro spark_files(relation, period_column, window) %}
    {%- set found = {} -%}
    {%- set rows = run_query(
        "select cast(" ~ period_column ~ " as string), min(_metadata.file_name) from " ~ relation
        ~ " where " ~ window ~ " group by " ~ period_column
    ).rows -%}
    {%- for row in rows -%}{%- do found.update({row[0] | string: row[1]}) -%}{%- endfor -%}
    {{ return(found) }}
{% endmacro %}
