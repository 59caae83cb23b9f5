{# The day to which recency is counted: SPRINT_AS_OF (YYYY-MM-DD), else `otherwise`, an expression.
   Never the clock: the same data give the same marts on any day. Read only while a node runs. #}
{% macro as_of(otherwise) -%}
    {%- set day = env_var('SPRINT_AS_OF', '') if execute else '' -%}
    {%- if not day -%}
        {{ return(otherwise) }}
    {%- endif -%}
    {%- if not modules.re.match('^[0-9]{4}-[0-9]{2}-[0-9]{2}$', day) -%}
        {%- do exceptions.raise_compiler_error(
            "SPRINT_AS_OF must be a day as YYYY-MM-DD (it is '" ~ day ~ "')"
        ) -%}
    {%- endif -%}
    {{ return("date '" ~ day ~ "'") }}
{%- endmacro %}
