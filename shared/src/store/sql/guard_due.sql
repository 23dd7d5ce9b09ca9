    -- Never looked at: due at once.
    AND coalesce(c.next_check_at, '-infinity') <= now()
    -- Parked: it may go on once its wait is over, unless the kill switch is off.
    AND (c.migration_state <> 'pre_import_done'
        OR settings.enabled AND (c.not_before IS NULL OR c.not_before <= now()))
