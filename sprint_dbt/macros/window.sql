{# The run's window of days: SPRINT_WINDOW_START (the first day) to SPRINT_WINDOW_END (the first day
   after it). Without them everything is built and tested. They are read only while a node runs:
   dbt would parse the project anew for every other day if it saw them while parsing. #}

{# The window widened by days before and after it, then to whole periods ('day', 'week' from Monday,
   'month'), as {start, end} of ISO dates, half-open; none without a window. #}
{% macro window_bounds(period='day', back_days=0, forward_days=0) %}
    {% if not execute %}{{ return(none) }}{% endif %}
    {% set start = env_var('SPRINT_WINDOW_START', '') %}
    {% set end = env_var('SPRINT_WINDOW_END', '') %}
    {% if not start and not end %}{{ return(none) }}{% endif %}
    {% if not start or not end %}
        {% do exceptions.raise_compiler_error(
            "SPRINT_WINDOW_START and SPRINT_WINDOW_END belong together: set both, or neither to build"
            ~ " everything (they are '" ~ start ~ "' and '" ~ end ~ "')"
        ) %}
    {% endif %}
    {% if flags.FULL_REFRESH %}
        {% do exceptions.raise_compiler_error(
            "--full-refresh with a window would keep the window's rows only: unset"
            ~ " SPRINT_WINDOW_START and SPRINT_WINDOW_END to rebuild everything"
        ) %}
    {% endif %}
    {% set iso_date = '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' %}
    {% if not modules.re.match(iso_date, start) or not modules.re.match(iso_date, end) or start >= end %}
        {% do exceptions.raise_compiler_error(
            "SPRINT_WINDOW_START must be a day before SPRINT_WINDOW_END, both as YYYY-MM-DD (they are '"
            ~ start ~ "' and '" ~ end ~ "')"
        ) %}
    {% endif %}
    {% set day = modules.datetime.timedelta(days=1) %}
    {% set first = modules.datetime.date.fromisoformat(start) - day * back_days %}
    {% set last = modules.datetime.date.fromisoformat(end) + day * (forward_days - 1) %}
    {% if period == 'week' %}
        {% set first = first - day * first.weekday() %}
        {% set last = last + day * (6 - last.weekday()) %}
    {% elif period == 'month' %}
        {% set first = first.replace(day=1) %}
        {% set last = (last.replace(day=1) + day * 31).replace(day=1) - day %}
    {% elif period != 'day' %}
        {% do exceptions.raise_compiler_error("a period is day, week or month, not '" ~ period ~ "'") %}
    {% endif %}
    {{ return({'start': first.isoformat(), 'end': (last + day).isoformat()}) }}
{% endmacro %}

{# A condition: the date lies in the periods that the window touches, widened by days. #}
{% macro in_window(date_column, period='day', back_days=0, forward_days=0) -%}
    {%- set bounds = window_bounds(period, back_days, forward_days) -%}
    {%- if bounds -%}
        {{ date_column }} >= date '{{ bounds.start }}' and {{ date_column }} < date '{{ bounds.end }}'
    {%- else -%}
        1 = 1
    {%- endif -%}
{%- endmacro %}

{# A condition: the span of days [first, last] meets the window. #}
{% macro span_meets_window(first_column, last_column) -%}
    {%- set bounds = window_bounds() -%}
    {%- if bounds -%}
        {{ first_column }} < date '{{ bounds.end }}' and {{ last_column }} >= date '{{ bounds.start }}'
    {%- else -%}
        1 = 1
    {%- endif -%}
{%- endmacro %}

{# A condition: the row lies where a model of that meta is replaced, by `period_column`, `period`,
   `back_days` (a row that came in the window may change what is that much older) and `forward_days`. #}
{% macro in_replaced_window(meta) -%}
    {{ in_window(
        meta.period_column, meta.period or 'day', meta.back_days or 0, meta.forward_days or 0
    ) }}
{%- endmacro %}
