{# Generic tests see the run's window: the model or source under test is read through this, and its
   meta says which column holds its period (macros/window.sql). A test's own `where` is kept. #}
{% macro get_where_subquery(relation) -%}
    {%- set conditions = [] -%}
    {%- if config.get('where') -%}{%- do conditions.append(config.get('where')) -%}{%- endif -%}
    {%- if execute and window_bounds() -%}
        {%- set tested = namespace(node=none) -%}
        {%- for node in (graph.nodes.values() | list) + (graph.sources.values() | list)
            if node.unique_id in model.depends_on.nodes
            and (node.alias or node.identifier) == relation.identifier
            and node.schema == relation.schema -%}
            {%- set tested.node = node -%}
        {%- endfor -%}
        {%- do conditions.append(meta_in_window(tested.node.config.meta)) -%}
    {%- endif -%}
    {%- if conditions -%}
        {{ return("(select * from " ~ relation ~ " where (" ~ conditions | join(') and (') ~ ")) as dbt_subquery") }}
    {%- else -%}
        {{ return(relation) }}
    {%- endif -%}
{%- endmacro %}
