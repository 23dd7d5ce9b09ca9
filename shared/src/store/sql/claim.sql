-- Takes the lowest free slot for the row that is due next, and starts it. Any number may run at once: a slot
-- and a row are each locked by one session and skipped by the others. Without a free slot no row is looked
-- for, or a claimer would hold a row that another one, with a slot, then misses.
--
-- Sent again after an unknown outcome it finds the row that carries its change; while the first sending is
-- still under way, the unique index on `change` lets only one of the two through.
WITH settings AS MATERIALIZED (
    SELECT * FROM migration_settings
),
repeated AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE change = :change::uuid
),
free_slot AS MATERIALIZED (
    SELECT s.slot FROM migration_slots AS s
    CROSS JOIN settings
    WHERE settings.enabled AND s.slot <= settings.capacity AND s.repository_id IS NULL
        AND NOT EXISTS (SELECT FROM repeated)
    ORDER BY s.slot
    FOR UPDATE OF s SKIP LOCKED
    LIMIT 1
),
candidate AS MATERIALIZED (
    SELECT c.* FROM container_repositories AS c
    CROSS JOIN settings
    WHERE EXISTS (SELECT FROM free_slot)
        AND c.migration_state IN ('default', 'import_aborted')
        AND (c.not_before IS NULL OR c.not_before <= now())
        AND (settings.created_before IS NULL OR c.created_at < settings.created_before)
        AND (settings.target_plans = '{}' OR c.plan = ANY (settings.target_plans))
        AND split_part(c.path, '/', 1) <> ALL (settings.denied_root_namespaces)
    ORDER BY (c.migration_state = 'import_aborted') DESC, c.priority DESC, c.created_at, c.id
    FOR UPDATE OF c SKIP LOCKED
    LIMIT 1
),
decided AS MATERIALIZED (
    SELECT
        candidate.*, free_slot.slot AS free_slot,
        :plan::jsonb -> concat_ws(
            '/', candidate.migration_state, candidate.aborted_in_state
        ) -> 'otherwise' AS outcome
    FROM candidate
    CROSS JOIN free_slot
),
