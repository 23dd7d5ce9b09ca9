SELECT jsonb_build_object(
    'verdict', CASE
        WHEN repeated.id IS NOT NULL THEN 'repeat'
        WHEN started.id IS NOT NULL THEN 'started'
        WHEN NOT settings.enabled THEN 'disabled'
        WHEN NOT EXISTS (SELECT FROM free_slot) THEN CASE
            WHEN EXISTS (
                SELECT FROM migration_slots AS s WHERE s.slot <= settings.capacity AND s.repository_id IS NULL
                    AND settings.waiting_time_seconds > 0
                    AND s.freed_at + settings.waiting_time_seconds * interval '1 second' > now()
            ) THEN 'slot_waits'
            ELSE 'no_slot'
        END
        ELSE 'none_due'
    END,
    'row', coalesce(to_jsonb(started), to_jsonb(repeated))
)::text
FROM settings
LEFT JOIN repeated ON true
LEFT JOIN started ON true
