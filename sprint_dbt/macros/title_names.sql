{# What a title changes in names, and where its records come from. All are read while dbt parses: each title has a target folder of
   its own. #}

{% macro title() -%}
    {{ return(env_var('SPRINT_TITLE', 'sprint')) }}
{%- endmacro %}

{# Whether the title's records were landed from files. What only the simulator sees to is then not
   asked, or is a warning. #}
{% macro is_landed() -%}
    {{ return(env_var('SPRINT_SOURCE', 'simulated') == 'landing') }}
{%- endmacro %}

{# Whether the node is a title's: of its daily step (`title`) or of its weekly one (`title_ml`). #}
{% macro of_a_title(node) -%}
    {{ return('title' in node.config.tags or 'title_ml' in node.config.tags) }}
{%- endmacro %}

{# `<title>_stage`, `<title>_mart`, `<title>_dim` for a title's models; another domain's schema
   is used as it is written. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name is none -%}
        {{ target.schema }}
    {%- elif of_a_title(node) -%}
        {{ title() }}_{{ custom_schema_name | trim }}
    {%- else -%}
        {{ custom_schema_name | trim }}
    {%- endif -%}
{%- endmacro %}

{# In a title whose word is `conflict`, every `encounter` in a table's name becomes `conflict`. #}
{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
    {%- set alias = default__generate_alias_name(custom_alias_name, node) | trim -%}
    {%- if of_a_title(node) and node.resource_type == 'model' -%}
        {%- set alias = alias | replace('encounter', env_var('SPRINT_WORD', 'encounter')) -%}
    {%- endif -%}
    {{ return(alias) }}
{%- endmacro %}
