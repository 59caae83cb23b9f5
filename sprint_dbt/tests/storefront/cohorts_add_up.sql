-- What a cohort brought up to a month is what it brought up to the month before, and in this one; no
-- month of which a day was built is left out. A row here is a cohort's month where it is not.
{{ config(meta={'dagster': {'ref': {'name': 'customer_cohorts'}}}) }}

select cohort_month, months_since, revenue, cumulative_revenue
from (
    select
        cohort_month,
        months_since,
        revenue,
        cumulative_revenue,
        lag(months_since, 1, -1) over (partition by cohort_month order by months_since) as month_before,
        lag(cumulative_revenue, 1, 0) over (
            partition by cohort_month order by months_since
        ) as revenue_before
    from {{ ref('customer_cohorts') }}
) as cohort_months
where cumulative_revenue <> revenue_before + revenue
    or exists (
        select 1
        from ({{ built_days('sessions') }}) as built
        where {{ dbt.datediff('cohort_month', 'built.day', 'month') }} > month_before
            and {{ dbt.datediff('cohort_month', 'built.day', 'month') }} < months_since
    )
