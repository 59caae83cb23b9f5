{# The time of the beat that a moment (a timestamp) lies in, in microseconds since 1970-01-01 (bigint).
   `session_start` is when the first beat begins, in such microseconds; a moment may be before it. #}
{% macro beat_time(moment, session_start) -%}
    {%- set beat, parts = beat_microseconds() -%}
    {%- set since_start = epoch_microseconds(moment) ~ ' - ' ~ session_start -%}
    {%- if parts == 1 -%}
    {{ session_start }} + {{ beat }} * cast(
        floor(cast({{ since_start }} as double) / {{ beat }}) as bigint
    )
    {%- else -%}
    {#- a beat's time is cut to the microsecond: the last beat whose time is not after the moment -#}
    {{ session_start }} + cast(
        floor(
            {{ beat }} * floor(cast({{ parts }} * ({{ since_start }} + 1) - 1 as double) / {{ beat }}) / {{ parts }}
        ) as bigint
    )
    {%- endif -%}
{%- endmacro %}
