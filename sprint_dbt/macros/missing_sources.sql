{# Creates, empty, the tables that Python loads and that a selected node reads, where they are missing:
   a domain of which nothing is loaded is then built of nothing, and `dbt build` by hand does not stop
   at it. The platform's own runs created them. Columns and types are those of the sources' YAML; a source whose `meta` says `optional` is one
   that its readers do without. #}
{% macro create_missing_sources() %}
    {% if not execute or target.type != 'duckdb' or env_var('SPRINT_DEFINITIONS', '') %}{{ return('') }}{% endif %}
    {% set read = [] %}
    {% for unique_id in selected_resources if unique_id in graph.nodes %}
        {% do read.extend(graph.nodes[unique_id].depends_on.nodes) %}
    {% endfor %}
    {% set there = run_query(
        "select table_schema || '.' || table_name from information_schema.tables"
        ~ " where table_catalog = current_database()"
    ).columns[0].values() %}
    {% for unique_id in read | unique if unique_id in graph.sources %}
        {% set source = graph.sources[unique_id] %}
        {% set name = source.schema ~ '.' ~ source.identifier %}
        {% if name not in there and not source.meta.get('optional') %}
            create schema if not exists {{ source.schema }};
            create table {{ name }} (
                {%- for column in source.columns.values() %}
                {{ column.name }} {{ column.data_type }}{{ ',' if not loop.last }}
                {%- endfor %}
            );
        {% endif %}
    {% endfor %}
{% endmacro %}
