-- As a claim, for the one row that an operator names.
named AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE path = :path FOR UPDATE
),
repeated AS MATERIALIZED (
    SELECT * FROM named WHERE change = :change::uuid
),
candidate AS MATERIALIZED (
    SELECT
        named.*,
        coalesce(
            -- Its final step waits: it begins with the pre step.
            CASE WHEN entry -> 'when_held' IS NOT NULL AND EXISTS (
                SELECT FROM migration_held_by(named.path)
            ) THEN entry -> 'when_held' END,
            entry -> 'otherwise'
        ) AS outcome
    FROM named
    CROSS JOIN LATERAL (
        SELECT :plan::jsonb -> concat_ws('/', named.migration_state, named.aborted_in_state) AS entry
    ) AS entries
    WHERE entry IS NOT NULL AND NOT EXISTS (SELECT FROM repeated)
),
free_slot AS MATERIALIZED (
    SELECT s.slot FROM migration_slots AS s
    CROSS JOIN settings
    WHERE settings.enabled AND s.slot <= settings.capacity AND s.repository_id IS NULL
        AND EXISTS (SELECT FROM candidate)
        AND (SELECT brake.held_by IS NULL AND room.is_left FROM brake CROSS JOIN room)
    ORDER BY s.slot
    FOR UPDATE OF s SKIP LOCKED
    LIMIT 1
),
chosen AS MATERIALIZED (
    SELECT candidate.*, free_slot.slot AS free_slot, brake.by_turns OR room.by_turns AS by_turns
    FROM candidate
    CROSS JOIN free_slot
    CROSS JOIN brake
    CROSS JOIN room
),
