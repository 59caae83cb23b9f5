{# What is built, noted in the transaction that builds it: two tables beside the loaded rows.

   built_from      one row is a model, a dataset and a period (a day, a batch) of it that the model's
                   rows were built from: the digest that was loaded, and the definition that built them
   built_periods   one row is a period that a published model has rows of, and how many; a model
                   without periods has one, named ''

   `passed` is null until the invocation ends, then whether no test of the model failed. A database
   without these tables (of documentation, of a test) is built without notes. #}

{# Post-hook of every model: replaces the model's notes of the periods that were just replaced. #}
{% macro record_built() %}
    {% if execute %}{% do require_meta() %}{% endif %}
    {% set ledger = ledger_schema(model) if execute else none %}
    {% if ledger is none %}{{ return('') }}{% endif %}
    {% set meta, config = model.config.meta, model.config %}
    {% set batched = meta.batches %}
    {% set loaded_period = 'load_batch_id' if batched else 'partition_date' %}
    {# a view, a table and a model of spans are noted whole: they have no period of their own #}
    {% set column = (meta.batch_column or meta.period_column) if config.materialized == 'incremental' else none %}
    {# what the raw tables hold no more goes from the model, too (replace_batch.sql) #}
    {% set gone = ' or period not in (select cast(load_batch_id as varchar) from ' ~ ledger ~ '.loaded_batches)'
        if batched else '' %}
    {% set definitions = fromjson(env_var('SPRINT_DEFINITIONS', '{}')) %}
    {% set datasets = [] %}
    {% for source in sources_read(model.unique_id) %}
        {% do datasets.append(source.config.meta.dataset or source.identifier) %}
    {% endfor %}
    {# only of the run's own days: those around them were replaced, too, but from parents that this run
       did not build #}
    delete from {{ ledger }}.built_from
    where model = '{{ this.identifier }}' and ({{ in_run(noted_period(batched)) }}{{ gone }});
    insert into {{ ledger }}.built_from (model, dataset, period, digest, definition, invocation)
    select
        '{{ this.identifier }}',
        dataset,
        cast({{ loaded_period }} as varchar),
        digest,
        '{{ definitions.get(this.identifier, 'by hand') }}',
        '{{ invocation_id }}'
    from {{ ledger }}.{{ 'loaded_batches' if batched else 'loaded_partitions' }}
    where dataset in ('{{ datasets | unique | sort | join("', '") }}')
        and ({{ in_run(loaded_period) }});
    {%- if config.schema == 'gold' or config.schema.endswith('mart') or meta.published %}
    delete from {{ ledger }}.built_periods
    where model = '{{ this.identifier }}'
    {%- if column %} and (period = '' or {{ in_replaced_periods(noted_period(batched)) }}{{ gone }}){% endif %};
    insert into {{ ledger }}.built_periods (model, period, row_count, invocation)
    select
        '{{ this.identifier }}',
        {{ "cast(" ~ column ~ " as varchar)" if column else "''" }},
        count(*),
        '{{ invocation_id }}'
    from {{ this }}
    {%- if column %}
    where {{ in_replaced_periods(column) }}
    group by {{ column }}
    {%- endif %};
    {%- endif %}
{% endmacro %}

{# A condition: the period is one of the run's own days or batches. #}
{% macro in_run(period) -%}
    {%- if model.config.meta.batches -%}
        {{ in_batches(period) }}
    {%- else -%}
        {%- set bounds, launch = window_bounds(), env_var('SPRINT_LAUNCH_DATE', '') -%}
        {{ in_window(period) }}
        {#- players who signed up before the launch come with the launch day -#}
        {%- if bounds and bounds.start <= launch %} or {{ period }} < date '{{ launch }}'{% endif %}
    {%- endif -%}
{%- endmacro %}

{# A condition: the period is one that a build of this model replaces in this run. #}
{% macro in_replaced_periods(period) -%}
    {%- set meta = model.config.meta -%}
    {%- if meta.batch_column -%}
        {{ in_batches(period) }}
    {%- else -%}
        {{ in_window(period, meta.period or 'day', meta.back_days or 0, meta.forward_days or 0) }}
    {%- endif -%}
{%- endmacro %}

{# A note's period as what it is: notes hold it as text. '' is none. #}
{% macro noted_period(batched) -%}
    cast(nullif(period, '') as {{ 'integer' if batched else 'date' }})
{%- endmacro %}

{# Ends an invocation: the models that it built passed, unless a test of theirs failed. #}
{% macro settle_built(results) %}
    {% if not execute %}{{ return('') }}{% endif %}
    {% set failed, ledgers = [], [] %}
    {% for result in results %}
        {% if result.node.resource_type == 'model' %}
            {% do ledgers.append(ledger_schema(result.node)) %}
        {% elif result.node.resource_type == 'test' and result.status in ('fail', 'error', 'runtime error') %}
            {# the model that the test is of, not those that it is compared with #}
            {% set named = ((result.node.config.meta or {}).get('dagster') or {}).get('ref', {}).get('name') %}
            {% for parent in result.node.depends_on.nodes if parent in graph.nodes %}
                {% if parent == result.node.attached_node or graph.nodes[parent].name == named
                    or not (result.node.attached_node or named) %}
                    {% do failed.append(graph.nodes[parent].alias) %}
                {% endif %}
            {% endfor %}
        {% endif %}
    {% endfor %}
    {% for ledger in ledgers | select | unique %}
        {% for table in ('built_from', 'built_periods') %}
    update {{ ledger }}.{{ table }}
    set passed = {% if failed %}model not in ('{{ failed | unique | join("', '") }}'){% else %}1 = 1{% endif %}
    where invocation = '{{ invocation_id }}' and passed is null;
        {% endfor %}
    {% endfor %}
{% endmacro %}

{# The schema with the notes about a model: its meta's `ledger`, or a title's own; in Snowflake that of
   the connection. None where its database has no notes, and on Spark unless they are only read: Spark
   has a copy of them, the platform itself writes them into DuckDB. #}
{% macro ledger_schema(node, only_read=false) %}
    {% if target.type == 'spark' and not only_read %}{{ return(none) }}{% endif %}
    {% set ledger = node.config.meta.ledger or (title() ~ '_raw' if of_a_title(node)) %}
    {% set schema = target.schema if target.type == 'snowflake' else ledger %}
    {% if not schema %}{{ return(none) }}{% endif %}
    {% set notes = adapter.get_relation(database=target.database, schema=schema, identifier='built_from') %}
    {{ return(schema if notes else none) }}
{% endmacro %}

{# The sources of its own domain that a node reads, however many models lie between. #}
{% macro sources_read(unique_id) %}
    {% set found, waiting = [], [unique_id] %}
    {# the list grows while it is gone through: a call of a macro costs more than the whole loop #}
    {% for unique_id in waiting %}
        {% if unique_id in graph.sources %}
            {% set source = graph.sources[unique_id] %}
            {% if source.source_name != 'store_title' %}{% do found.append(source) %}{% endif %}
        {% elif unique_id in graph.nodes %}
            {% for parent in graph.nodes[unique_id].depends_on.nodes if parent not in waiting %}
                {% do waiting.append(parent) %}
            {% endfor %}
        {% endif %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}
