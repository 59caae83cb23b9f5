-- A week's revenue is in one currency. A row here is a week whose sum mixes several, and is worth
-- nothing. A warning where records are landed: the other marts are none the worse for it.
-- depends_on: {{ ref('country_weekly_revenue') }}
{{ config(
    severity='warn' if env_var('SPRINT_SOURCE', 'simulated') == 'landing' else 'error',
    meta={'dagster': {'ref': {'name': 'country_weekly_revenue'}}}
) }}

select
    cast({{ dbt.date_trunc('week', 'event_date') }} as date) as year_week,
    min(currency) as one_currency,
    max(currency) as another_currency
from {{ source('raw', 'event_transaction') }}
where {{ in_window('event_date', 'week') }}
group by cast({{ dbt.date_trunc('week', 'event_date') }} as date)
having min(currency) <> max(currency)
