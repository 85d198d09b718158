-- Purpose: whether a network was measured on the validation photographs of this dataset, with these labels.
-- Grain: one row.
-- Inputs: split, predictions.
-- Parameters: none.
select
    count(split.photo_id) as wanted,
    count(predictions.photo_id) as found
from split
left join predictions on split.photo_id = predictions.photo_id and split.class_id = predictions.class_id
where split.split = 'validation'
