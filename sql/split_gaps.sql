-- Purpose: species that one side of the split lacks; by chance, more of them the fewer photographs they have.
-- Grain: one row per such species.
-- Inputs: split, taxonomy.
-- Parameters: none.
select
    taxonomy.class_id,
    taxonomy.name as species,
    count(*) filter (where split.split = 'train') as train,
    count(*) filter (where split.split = 'validation') as validation
from taxonomy
left join split on taxonomy.class_id = split.class_id
where taxonomy.class_id is not null
group by taxonomy.class_id, taxonomy.name
having count(*) filter (where split.split = 'train') = 0 or count(*) filter (where split.split = 'validation') = 0
order by taxonomy.class_id
