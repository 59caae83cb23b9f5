{# A query: the days (`day`) of which everything is loaded that a player's weeks are made of. Of a landed
   title any of it, as a studio need not deliver all. Pruned records are not there. #}
{% macro days_with_records() -%}
    {%- set ledger = ledger_schema(model) if execute else none -%}
    {%- set datasets = ['signons', 'sessions', 'transactions'] -%}
    {%- if ledger -%}
        select partition_date as day
        from {{ ledger }}.loaded_partitions
        where dataset in ('{{ datasets | join("', '") }}') and source <> 'pruned'
        group by partition_date
        having count(*) >= {{ 1 if is_landed() else datasets | length }}
    {%- else -%}
        {{ no_days() }}
    {%- endif -%}
{%- endmacro %}
