-- Removes a prefix's hold. The rows that it held stay as they are: the next claim asks which holds there are. Sent again it
-- recognises its own change.
WITH repeated AS MATERIALIZED (
    SELECT change FROM migration_hold_changes WHERE change = :change::uuid
),
removed AS (
    DELETE FROM migration_holds WHERE prefix = :prefix::text AND NOT EXISTS (SELECT FROM repeated)
    RETURNING prefix
),
kept AS (
    INSERT INTO migration_hold_changes (change, prefix, operator)
    SELECT :change::uuid, removed.prefix, :operator::text FROM removed
)
SELECT to_jsonb(EXISTS (SELECT FROM removed) OR EXISTS (SELECT FROM repeated))::text
