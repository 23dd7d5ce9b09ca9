-- The parked row that is due longest goes on with the final step. It kept its slot.
repeated AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE change = :change::uuid
),
candidate AS MATERIALIZED (
    SELECT c.* FROM container_repositories AS c
    CROSS JOIN settings
    CROSS JOIN brake
    WHERE settings.enabled AND brake.held_by IS NULL
        AND c.migration_state = 'pre_import_done' AND c.held_since IS NULL
        AND (c.not_before IS NULL OR c.not_before <= now())
        AND NOT EXISTS (SELECT FROM repeated)
    ORDER BY c.not_before NULLS FIRST, c.id
    FOR UPDATE OF c SKIP LOCKED
    LIMIT 1
),
-- Its final step is held: it is to give its slot back.
held AS MATERIALIZED (
    SELECT candidate.* FROM candidate WHERE EXISTS (SELECT FROM migration_held_by(candidate.path))
),
chosen AS MATERIALIZED (
    SELECT
        candidate.*, candidate.slot AS free_slot, brake.by_turns,
        :plan::jsonb -> candidate.migration_state -> 'otherwise' AS outcome
    FROM candidate
    CROSS JOIN brake
    WHERE NOT EXISTS (SELECT FROM held)
),
