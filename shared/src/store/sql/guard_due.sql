    AND (c.next_check_at IS NULL OR c.next_check_at <= now())
    AND CASE c.migration_state
        WHEN 'pre_importing' THEN
            c.pre_import_started_at < now() - settings.max_step_duration_seconds * interval '1 second'
        WHEN 'importing' THEN
            c.import_started_at < now() - settings.max_step_duration_seconds * interval '1 second'
        -- Parked: it may go on, unless the kill switch is off.
        WHEN 'pre_import_done' THEN settings.enabled AND (c.not_before IS NULL OR c.not_before <= now())
        ELSE false
    END
ORDER BY c.next_check_at NULLS FIRST, c.id
