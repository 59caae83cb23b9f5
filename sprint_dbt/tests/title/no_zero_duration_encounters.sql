-- An encounter lasts at least one beat. A row here is an encounter that ends when it starts, or before.
select session_id, team_1_id, team_2_id, encounter_start, encounter_end
from {{ ref('stage_encounters') }}
where {{ in_window('event_date') }}
    and encounter_end <= encounter_start
