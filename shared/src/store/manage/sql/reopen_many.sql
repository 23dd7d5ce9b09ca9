-- Rows that an operator's filter matches; one that another statement works on is left for the next call.
WITH matching AS MATERIALIZED (
    SELECT c.id FROM container_repositories AS c
    WHERE c.migration_state = :state
        AND (:reason::smallint IS NULL OR c.skipped_reason = :reason::smallint)
        AND starts_with(c.path, :prefix)
),
picked AS MATERIALIZED (
    SELECT c.* FROM container_repositories AS c
    WHERE c.id IN (SELECT id FROM matching ORDER BY id LIMIT 1000) AND c.migration_state = :state
    FOR UPDATE OF c SKIP LOCKED
),
