-- Takes those of the hinted rows that really seem stuck. Any number of guards may run at once: a row is taken
-- by one of them, and is not due again before its next check. That is no change of the row: its version, which
-- callers compare with what they have seen, stays.
WITH settings AS MATERIALIZED (
    SELECT * FROM migration_settings
),
due AS MATERIALIZED (
    SELECT c.id
    FROM container_repositories AS c
    CROSS JOIN settings
    WHERE c.path = ANY (ARRAY(SELECT jsonb_array_elements_text(:paths::jsonb)))
