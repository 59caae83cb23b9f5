{# The time of the beat that a moment (a timestamp) lies in, in microseconds since 1970-01-01 (bigint).

   session_start       when the first beat begins, in such microseconds; a moment may be before it
   beat_microseconds   how long a beat lasts #}
{% macro beat_time(moment, session_start, beat_microseconds) -%}
    {{ session_start }} + {{ beat_microseconds }} * cast(
        floor(
            cast({{ epoch_microseconds(moment) }} - {{ session_start }} as double) / {{ beat_microseconds }}
        ) as bigint
    )
{%- endmacro %}
