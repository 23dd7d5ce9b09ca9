-- Which rows the guard is to look at, as the reader has it: only a hint, since each is leased on the writer under the same
-- condition. Those that are due for longest come first. And how far the reader's history goes: what became stuck after that
-- is not among them.
SELECT jsonb_build_object(
    'newest_line', (SELECT max(id) FROM migration_transitions),
    'paths', coalesce(jsonb_agg(hinted.path ORDER BY hinted.due_since, hinted.id), '[]')
)::text
FROM (
    SELECT c.path, c.id, coalesce(c.next_check_at, '-infinity') AS due_since
    FROM container_repositories AS c
    CROSS JOIN (SELECT enabled FROM migration_settings LIMIT 1) AS settings
    WHERE c.migration_state IN ('pre_importing', 'pre_import_done', 'importing')
    -- Never looked at: due at once.
    AND coalesce(c.next_check_at, '-infinity') <= now()
    -- Parked: it may go on once its wait is over, unless the kill switch is off.
    AND (c.migration_state <> 'pre_import_done'
        OR settings.enabled AND (c.not_before IS NULL OR c.not_before <= now()))
    ORDER BY coalesce(c.next_check_at, '-infinity'), c.id
    LIMIT :limit
) AS hinted
