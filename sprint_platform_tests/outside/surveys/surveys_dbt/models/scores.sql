-- One row is a question of a batch.
select
    load_batch_id,
    question,
    count(*) as answers,
    cast(sum(score) as bigint) as points
from {{ source('surveys', 'answers') }}
where {{ in_batches('load_batch_id') }}
group by load_batch_id, question
