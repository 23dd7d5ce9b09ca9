-- The parked row that is due longest goes on with the final step. It kept its slot.
WITH settings AS MATERIALIZED (
    SELECT * FROM migration_settings
),
repeated AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE change = :change::uuid
),
candidate AS MATERIALIZED (
    SELECT c.* FROM container_repositories AS c
    CROSS JOIN settings
    WHERE settings.enabled
        AND c.migration_state = 'pre_import_done'
        AND (c.not_before IS NULL OR c.not_before <= now())
        AND NOT EXISTS (SELECT FROM repeated)
    ORDER BY c.not_before NULLS FIRST, c.id
    FOR UPDATE OF c SKIP LOCKED
    LIMIT 1
),
decided AS MATERIALIZED (
    SELECT
        candidate.*, candidate.slot AS free_slot,
        :plan::jsonb -> candidate.migration_state -> 'otherwise' AS outcome
    FROM candidate
),
