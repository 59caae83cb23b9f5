-- Every country of the marts is in dim_countries (monthly and lifetime marts take theirs from
-- player_activity_daily). A row here is a country that is not. A warning where records are landed: a
-- studio's own word for a country is counted under that word.
{{ config(
    severity='warn' if env_var('SPRINT_SOURCE', 'simulated') == 'landing' else 'error',
    meta={'dagster': {'ref': {'name': 'country_weekly_revenue'}}}
) }}

select country, found_in
from (
    select country, 'country_weekly_revenue' as found_in
    from {{ ref('country_weekly_revenue') }}
    where {{ in_window('year_week', 'week') }}
    union
    select country, 'player_activity_daily' as found_in
    from {{ ref('player_activity_daily') }}
    where {{ in_window('calendar_date') }}
) as countries
where country not in (select country from {{ ref('dim_countries') }})
