{# Loads a seed's file into its table, in place of dbt-duckdb's macro of that name. `dim_products` comes
   from the data folder's catalogue, which the asset `products` writes beside the database; where there
   is none, and for every other seed, from the seed's own file. #}
{% macro duckdb__load_csv_rows(model, agate_table) -%}
    {%- set pattern = glob_literal(adapter.get_seed_file_path(model)) -%}
    {%- if model.name == 'dim_products' -%}
        {%- set made = glob_literal(target.path[:-(target.path.split('/') | last | length)]
            ~ 'catalogue/dim_products.csv') -%}
        {%- if run_query("select file from glob('" ~ made ~ "')") | length -%}
            {%- set pattern = made -%}
        {%- endif -%}
    {%- endif -%}
    {#- by name and as text: the columns of a catalogue that somebody edited may come in any order, and
        the table has their types -#}
    {%- set sql -%}
        insert into {{ this.render() }} by name
        select * from read_csv('{{ pattern }}', header = true, delim = ',', all_varchar = true)
    {%- endset -%}
    {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
    {{ return(sql) }}
{%- endmacro %}

{# A path as the text of a glob that means just this file. #}
{% macro glob_literal(path) -%}
    {{ return(
        path | string | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]') | replace("'", "''")
    ) }}
{%- endmacro %}
