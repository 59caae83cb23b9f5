-- A product is reviewed after it was delivered. A row here is a review from before that; or of an order
-- that never was delivered, where every day from the order to the review was.
{{ config(meta={'dagster': {'ref': {'name': 'reviews'}}}) }}

select reviews.review_id, reviews.order_id, reviews.reviewed_at, orders.delivered_at
from {{ ref('reviews') }} as reviews
inner join {{ ref('orders') }} as orders on reviews.order_id = orders.order_id
where {{ in_window('reviews.event_date') }}
    and (
        reviews.reviewed_at < orders.delivered_at
        or (
            orders.delivered_at is null
            and {{ no_day_missing('orders.order_date', 'reviews.event_date', loaded_days('raw_orders')) }}
        )
    )
