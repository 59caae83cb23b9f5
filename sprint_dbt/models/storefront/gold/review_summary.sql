-- One row is a product that was reviewed.
{{ config(materialized='table') }}

select
    product_id,
    cast(count(*) as integer) as reviews,
    cast(sum(rating) as double) / count(*) as average_rating,
    cast(sum(case when rating = 1 then 1 else 0 end) as double) / count(*) as one_star_share,
    cast(sum(case when rating = 2 then 1 else 0 end) as double) / count(*) as two_star_share,
    cast(sum(case when rating = 3 then 1 else 0 end) as double) / count(*) as three_star_share,
    cast(sum(case when rating = 4 then 1 else 0 end) as double) / count(*) as four_star_share,
    cast(sum(case when rating = 5 then 1 else 0 end) as double) / count(*) as five_star_share,
    cast(sum(case when is_verified then 1 else 0 end) as integer) as verified_reviews,
    cast(sum(case when is_verified then 1 else 0 end) as double) / count(*) as verified_share,
    min(reviewed_at) as first_reviewed_at,
    max(reviewed_at) as last_reviewed_at
from {{ ref('reviews') }}
group by product_id
