{# Incremental strategy for a model whose rows belong to a batch (meta: batch_column): replaces
   exactly the run's batches, in one transaction, so that a batch that became empty leaves no row; and
   removes those that no raw table holds any more. Fails when a new row lies outside the run's
   batches. #}
{% macro get_incremental_replace_batch_sql(arg_dict) %}
    {% do require_meta() %}
    {% set batch_column = model.config.meta.batch_column %}
    {% set replaced = in_batches(batch_column) %}
    {% set new_rows = new_rows_inside(
        arg_dict.temp_relation,
        batch_column,
        replaced,
        outside="the run's batches",
        filter="in_batches('" ~ batch_column ~ "')"
    ) %}
    {%- set held = [] -%}
    {%- for source in sources_read(model.unique_id) -%}
        {%- do held.append("select load_batch_id from " ~ source.relation_name) -%}
    {%- endfor -%}
    {%- set gone = batch_column ~ " not in (" ~ held | unique | join(" union all ") ~ ")" -%}
    {{ delete_and_insert(arg_dict, replaced ~ " or " ~ gone, new_rows) }}
{% endmacro %}
