-- 8. Who should get an offer this week, and of what?
-- The groups of players that will bring most, of the last week that is there, with nine-in-ten intervals.
select
    year_week,
    who,
    item_type,
    price_level,
    players,
    expected_buyers,
    buyers_low,
    buyers_high,
    expected_revenue,
    revenue_low,
    revenue_high
from {{ source('foresight', 'sales_segments') }}
where year_week = (select max(year_week) from {{ source('foresight', 'sales_segments') }})
order by segment
limit 12
