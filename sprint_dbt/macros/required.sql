{# What a model's or a test's YAML must say: each is an error of one line where it is missing, as SQL without
   it says nothing of the YAML. #}

{# Raises an error where a model has no schema, or an incremental one's meta does not name the columns that its
   strategy replaces rows by. Each strategy asks this before it replaces anything; record_built does for the
   first build. #}
{% macro require_meta() %}
    {% set by_strategy = {
        'replace_period': ['period_column'],
        'replace_span': ['span_key', 'span_start', 'span_end'],
        'replace_batch': ['batch_column'],
    } %}
    {% set config, columns = model.config, model.columns | list %}
    {% if not config.get('schema') %}
        {% do exceptions.raise_compiler_error(
            model.name ~ ": dbt_project.yml has no schema for its folder: move it to a folder of a layer, such as"
            ~ " mart"
        ) %}
    {% endif %}
    {% set strategy = config.incremental_strategy if config.materialized == 'incremental' else none %}
    {% for name in by_strategy.get(strategy, []) if config.meta.get(name) not in columns %}
        {% do exceptions.raise_compiler_error(
            model.name ~ ": " ~ name ~ " in the meta of its YAML is "
            ~ ("'" ~ config.meta[name] ~ "'" if config.meta.get(name) else "missing") ~ ", and " ~ strategy
            ~ " replaces rows by it: name one of the model's columns (" ~ columns | join(', ') ~ ")"
        ) %}
    {% endfor %}
{% endmacro %}

{# Raises an error where a test's YAML leaves out one of these arguments ({name: value}). dbt does so itself
   of an argument that is looped over, or asked for its name. #}
{% macro require_arguments(arguments) %}
    {% for name, value in arguments.items() if execute and not value %}
        {% do exceptions.raise_compiler_error(
            "parameter '" ~ name ~ "' was not provided: write it under the test's arguments"
        ) %}
    {% endfor %}
{% endmacro %}
