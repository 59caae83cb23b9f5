{# What the web store's models share. #}

{# Days after the day of an order by which it has reached its last status: an order is built anew that
   long. The same as SETTLED_WITHIN of the generator; the `back_days` in the models' meta is this. #}
{% macro settled_within() -%}
    {{ return(30) }}
{%- endmacro %}

{# Days that stock is looked for: the warehouse counts every product on sale that often. #}
{% macro counted_within() -%}
    {{ return(7) }}
{%- endmacro %}

{# A query: the rows of a bronze table that meet the condition, every key once. Of several the one
   that was ingested last counts; of those that came at once, always the same one.

   A repeated hash only makes a suspect, and only suspects are put in order: nearly all rows are alone,
   and a window function over all of a large store's clickstream would not fit into memory. #}
{% macro last_ingested(relation, key, columns, condition) -%}
    {%- set suspects -%}
        select suspect
        from (
            select {{ row_hash(key) }} as suspect
            from {{ relation }}
            where {{ condition }}
        ) as hashed
        group by suspect
        having count(*) > 1
    {%- endset -%}
    select {{ columns | join(', ') }}
    from {{ relation }}
    where {{ condition }}
        and {{ row_hash(key) }} not in ({{ suspects }})

    union all

    select {{ columns | join(', ') }}
    from (
        select
            {{ columns | join(', ') }},
            row_number() over (
                partition by {{ key | join(', ') }}
                order by ingestion_timestamp desc, {{ columns | join(', ') }}
            ) as recency
        from {{ relation }}
        where {{ condition }}
            and {{ row_hash(key) }} in ({{ suspects }})
    ) as repeated
    where recency = 1
{%- endmacro %}
