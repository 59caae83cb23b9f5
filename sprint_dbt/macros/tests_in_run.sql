{# Generic tests see the run's window, or its batches: the model or source under test is read through
   this, and its meta says which column holds its period or batch. A test's own `where` holds too. #}
{% macro get_where_subquery(relation) -%}
    {%- set conditions = [] -%}
    {%- if config.get('where') -%}{%- do conditions.append(config.get('where')) -%}{%- endif -%}
    {%- if execute and (window_bounds() or run_batches()) -%}
        {%- set tested = namespace(node=none) -%}
        {%- for node in (graph.nodes.values() | list) + (graph.sources.values() | list)
            if node.unique_id in model.depends_on.nodes
            and (node.alias or node.identifier) == relation.identifier
            and node.schema == relation.schema -%}
            {%- set tested.node = node -%}
        {%- endfor -%}
        {%- do conditions.append(meta_in_run(tested.node.config.meta)) -%}
    {%- endif -%}
    {%- if conditions -%}
        {{ return("(select * from " ~ relation ~ " where (" ~ conditions | join(') and (') ~ ")) as dbt_subquery") }}
    {%- else -%}
        {{ return(relation) }}
    {%- endif -%}
{%- endmacro %}

{# The condition that a node's meta stands for: `period_column` and `period` (with `back_days` and
   `forward_days`), or `span_start` and `span_end`, or `batch_column`. A node that names none of them
   is always taken whole. #}
{% macro meta_in_run(meta) -%}
    {%- if meta.period_column -%}
        {{ in_replaced_window(meta) }}
    {%- elif meta.span_start -%}
        {{ span_meets_window(meta.span_start, meta.span_end) }}
    {%- elif meta.batch_column -%}
        {{ in_batches(meta.batch_column) }}
    {%- else -%}
        1 = 1
    {%- endif -%}
{%- endmacro %}
