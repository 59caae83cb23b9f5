{# A run's new rows, for the incremental strategies of replace_period.sql and replace_batch.sql: what dbt
   calls the temporary relation. #}

{# dbt-duckdb makes a temporary table of them, from which they are inserted: each row would be written
   twice. Here it is a temporary view, so that the insert runs the model's query. Not where the query
   reads the model's own table: the delete comes before the insert. #}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
    {%- set reads_itself = temporary and this.render() in compiled_code -%}
    {%- if temporary and not reads_itself and language == 'sql'
        and config.get('incremental_strategy') in ('replace_period', 'replace_batch') -%}
        {%- if config.get('contract').enforced -%}
            {{ get_assert_columns_equivalent(compiled_code) }}
        {%- endif -%}
        create temporary view {{ relation.include(database=false, schema=false) }} as (
            {{ compiled_code }}
        )
    {%- else -%}
        {{ dbt.duckdb__create_table_as(temporary, relation, compiled_code, language, partitioned_by, sorted_by) }}
    {%- endif -%}
{%- endmacro %}

{# The new rows, to be inserted from. One whose `column` is null or outside of what is replaced (a
   condition) is an error, and nothing is replaced:

   outside   what the row is outside of, in words
   filter    what the model should filter with #}
{% macro new_rows_inside(new_rows, column, replaced, outside, filter) -%}
    {{ return(adapter.dispatch('new_rows_inside')(new_rows, column, replaced, outside, filter)) }}
{%- endmacro %}

{% macro default__new_rows_inside(new_rows, column, replaced, outside, filter) -%}
    {%- set wrong = run_query(
        "select count(*), min(" ~ column ~ "), max(" ~ column ~ ") from " ~ new_rows
        ~ " where " ~ column ~ " is null or not (" ~ replaced ~ ")"
    ).rows[0] -%}
    {%- if wrong[0] > 0 -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ ": " ~ wrong[0] ~ " new rows lie outside " ~ outside ~ " (" ~ replaced ~ "), from "
            ~ wrong[1] ~ " to " ~ wrong[2] ~ ": nothing was replaced; filter the model with " ~ filter
        ) -%}
    {%- endif -%}
    {{ return(new_rows) }}
{%- endmacro %}

{# To count them first would run the model's query twice. #}
{% macro duckdb__new_rows_inside(new_rows, column, replaced, outside, filter) -%}
    {%- set before = model.name ~ ": new rows lie outside " ~ outside ~ " (" ~ replaced ~ "), as " -%}
    {%- set after = ": nothing was replaced; filter the model with " ~ filter -%}
    (
        select * replace (
            case
                when {{ column }} is not null and ({{ replaced }}) then {{ column }}
                else error(concat(
                    '{{ before | replace("'", "''") }}',
                    coalesce(cast({{ column }} as varchar), 'null'),
                    '{{ after | replace("'", "''") }}'
                ))
            end as {{ column }}
        )
        from {{ new_rows }}
    ) as new_rows
{%- endmacro %}
