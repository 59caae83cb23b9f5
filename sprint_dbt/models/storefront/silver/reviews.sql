-- One row is a review of a product.
with delivered as (
    {{ last_ingested(
        relation=source('bronze', 'raw_reviews'),
        key=['review_id', 'event_date'],
        columns=[
            'review_id',
            'product_id',
            'customer_id',
            'order_id',
            'rating',
            'title',
            'body',
            'language',
            'helpful_count',
            'verified_purchase',
            'reviewed_at',
            'event_date'
        ],
        condition=in_window('event_date')
    ) }}
)

select
    review_id,
    product_id,
    customer_id,
    order_id,
    rating,
    title,
    body,
    language,
    helpful_count,
    verified_purchase as is_verified,
    reviewed_at,
    event_date
from delivered
