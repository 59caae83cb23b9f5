{# Before an invocation: raises an error where it would build a model for days whose records were pruned
   (loaded_partitions.source). What the model has of them was made of those records, and nothing would
   replace it. #}
{% macro refuse_pruned() %}
    {% if not execute or flags.WHICH not in ('build', 'run') %}{{ return('') }}{% endif %}
    {% set models = [] %}
    {% for unique_id in selected_resources if unique_id in graph.nodes %}
        {% set node = graph.nodes[unique_id] %}
        {% if node.resource_type == 'model' and of_a_title(node) and node.config.materialized != 'view' %}
            {% do models.append(node) %}
        {% endif %}
    {% endfor %}
    {% set ledger = ledger_schema(models[0]) if models else none %}
    {% if ledger is none %}{{ return('') }}{% endif %}
    {% set pruned = "from " ~ ledger ~ ".loaded_partitions where source = 'pruned'" %}
    {# a wrong window is each model's to refuse #}
    {% if not run_query("select 1 " ~ pruned ~ " limit 1").rows %}{{ return('') }}{% endif %}
    {% set pruned = run_query(
        "select dataset, min(partition_date), max(partition_date) "
        ~ pruned ~ " and " ~ in_window('partition_date') ~ " group by dataset"
    ).rows %}
    {% for dataset, first, last in pruned %}
        {% for node in models %}
            {% for source in sources_read(node.unique_id) if source.config.meta.dataset == dataset %}
                {% do exceptions.raise_compiler_error(
                    "the " ~ dataset ~ " of " ~ first ~ " to " ~ last ~ " were pruned, and " ~ node.alias
                    ~ " would lose what it has of these days: build other days (SPRINT_WINDOW_START,"
                    ~ " SPRINT_WINDOW_END), or materialize " ~ title() ~ "/" ~ dataset ~ " for them first"
                ) %}
            {% endfor %}
        {% endfor %}
    {% endfor %}
{% endmacro %}
