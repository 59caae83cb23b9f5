{# Incremental strategy for a model whose rows belong to a batch (meta: batch_column): replaces
   exactly the run's batches, in one transaction, so that a batch that became empty leaves no row; and
   removes those that no raw table holds any more. Fails when a new row lies outside the run's
   batches. #}
{% macro get_incremental_replace_batch_sql(arg_dict) %}
    {% do require_meta() %}
    {% set batch_column = model.config.meta.batch_column %}
    {% set replaced = in_batches(batch_column) %}
    {% set outside = run_query(
        "select count(*), min(" ~ batch_column ~ "), max(" ~ batch_column ~ ")"
        ~ " from " ~ arg_dict.temp_relation
        ~ " where " ~ batch_column ~ " is null or not (" ~ replaced ~ ")"
    ).rows[0] %}
    {% if outside[0] > 0 %}
        {% do exceptions.raise_compiler_error(
            model.name ~ ": " ~ outside[0] ~ " new rows lie outside the run's batches (" ~ replaced
            ~ "), from batch " ~ outside[1] ~ " to " ~ outside[2] ~ ": nothing was replaced; filter the"
            ~ " model with in_batches('" ~ batch_column ~ "')"
        ) %}
    {% endif %}
    {%- set held = [] -%}
    {%- for source in sources_read(model.unique_id) -%}
        {%- do held.append("select load_batch_id from " ~ source.relation_name) -%}
    {%- endfor -%}
    {%- set gone = batch_column ~ " not in (" ~ held | unique | join(" union all ") ~ ")" -%}
    {{ delete_and_insert(arg_dict, replaced ~ " or " ~ gone) }}
{% endmacro %}
