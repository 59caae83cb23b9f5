{# The run's batches of the event log: SPRINT_BATCHES, such as 2 or 1,2,3. Without it everything is
   built and tested. Read only while a node runs, as the window is (window.sql). #}

{# The batches' numbers; none without SPRINT_BATCHES. #}
{% macro run_batches() %}
    {% if not execute %}{{ return(none) }}{% endif %}
    {% set listed = env_var('SPRINT_BATCHES', '') %}
    {% if not listed %}{{ return(none) }}{% endif %}
    {% if not modules.re.match('^[0-9]+(,[0-9]+)*$', listed) %}
        {% do exceptions.raise_compiler_error(
            "SPRINT_BATCHES must be numbers of batches, such as 2 or 1,2,3 (it is '" ~ listed ~ "')"
        ) %}
    {% endif %}
    {% if flags.FULL_REFRESH %}
        {% do exceptions.raise_compiler_error(
            "--full-refresh with SPRINT_BATCHES would keep those batches only: unset SPRINT_BATCHES"
            ~ " to rebuild everything"
        ) %}
    {% endif %}
    {{ return(listed.split(',') | map('int') | list) }}
{% endmacro %}

{# A condition: the row's batch is one of the run's. #}
{% macro in_batches(batch_column) -%}
    {%- set batches = run_batches() -%}
    {%- if batches -%}
        {{ batch_column }} in ({{ batches | join(', ') }})
    {%- else -%}
        1 = 1
    {%- endif -%}
{%- endmacro %}
