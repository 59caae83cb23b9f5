{# Incremental strategy for a model whose rows belong to a period (meta: period_column, period; with
   back_days, forward_days): replaces exactly the periods that the window touches, in one transaction,
   so that a day that became empty leaves no row. Fails when a new row lies outside them. #}
{% macro get_incremental_replace_period_sql(arg_dict) %}
    {% do require_meta() %}
    {% set meta = model.config.meta %}
    {% set replaced = in_replaced_window(meta) %}
    {% set outside = run_query(
        "select count(*), min(" ~ meta.period_column ~ "), max(" ~ meta.period_column ~ ")"
        ~ " from " ~ arg_dict.temp_relation
        ~ " where " ~ meta.period_column ~ " is null or not (" ~ replaced ~ ")"
    ).rows[0] %}
    {% if outside[0] > 0 %}
        {% do exceptions.raise_compiler_error(
            model.name ~ ": " ~ outside[0] ~ " new rows lie outside the window's periods (" ~ replaced
            ~ "), from " ~ outside[1] ~ " to " ~ outside[2] ~ ": nothing was replaced; filter the model"
            ~ " with in_window('" ~ meta.period_column ~ "')"
        ) %}
    {% endif %}
    {{ delete_and_insert(arg_dict, replaced) }}
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
        ~ " in (select " ~ meta.span_key ~ " from " ~ arg_dict.temp_relation ~ ")"
    ) }}
{% endmacro %}

{# Replaces the target's rows that meet the condition by the temporary relation's. One transaction:
   dbt opens it where engines have it so; for Snowflake it is written out, as dbt's own strategies do. #}
{% macro delete_and_insert(arg_dict, condition) -%}
    {{ return(adapter.dispatch('delete_and_insert')(arg_dict, condition)) }}
{%- endmacro %}

{% macro default__delete_and_insert(arg_dict, condition) %}
    {%- set columns = arg_dict.dest_columns | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict.target_relation }} where {{ condition }};
    insert into {{ arg_dict.target_relation }} ({{ columns }})
    select {{ columns }} from {{ arg_dict.temp_relation }};
{% endmacro %}

{% macro snowflake__delete_and_insert(arg_dict, condition) %}
    begin;
    {{ default__delete_and_insert(arg_dict, condition) }}
    commit;
{% endmacro %}
