{# Incremental strategy for a model whose rows belong to a period (meta: period_column, period; with
   back_days, forward_days): replaces exactly the periods that the window touches, in one transaction,
   so that a day that became empty leaves no row. Fails when a new row lies outside them. #}
{% macro get_incremental_replace_period_sql(arg_dict) %}
    {% do require_meta() %}
    {% set meta = model.config.meta %}
    {% set replaced = in_replaced_window(meta) %}
    {% set new_rows = new_rows_inside(
        arg_dict.temp_relation,
        meta.period_column,
        replaced,
        outside="the window's periods",
        filter="in_window('" ~ meta.period_column ~ "')"
    ) %}
    {{ delete_and_insert(arg_dict, replaced, new_rows) }}
{% endmacro %}

{# Incremental strategy for a model of one row per key with a span of days (meta: span_key,
   span_start, span_end): replaces the rows whose span meets the window and those that have a new
   row. The model must give a row for every one of them that still exists. #}
{% macro get_incremental_replace_span_sql(arg_dict) %}
    {% do require_meta() %}
    {% set meta = model.config.meta %}
    {{ delete_and_insert(
        arg_dict,
        "(" ~ span_meets_window(meta.span_start, meta.span_end) ~ ") or " ~ meta.span_key
        ~ " in (select " ~ meta.span_key ~ " from " ~ arg_dict.temp_relation ~ ")",
        arg_dict.temp_relation
    ) }}
{% endmacro %}

{# Replaces the target's rows that meet the condition by the new rows. One transaction:
   dbt opens it where engines have it so; for Snowflake it is written out, as dbt's own strategies do. #}
{% macro delete_and_insert(arg_dict, condition, new_rows) -%}
    {{ return(adapter.dispatch('delete_and_insert')(arg_dict, condition, new_rows)) }}
{%- endmacro %}

{% macro default__delete_and_insert(arg_dict, condition, new_rows) %}
    {%- set columns = arg_dict.dest_columns | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict.target_relation }} where {{ condition }};
    insert into {{ arg_dict.target_relation }} ({{ columns }})
    select {{ columns }} from {{ new_rows }};
{% endmacro %}

{% macro snowflake__delete_and_insert(arg_dict, condition, new_rows) %}
    begin;
    {{ default__delete_and_insert(arg_dict, condition, new_rows) }}
    commit;
{% endmacro %}
