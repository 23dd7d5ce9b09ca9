SELECT jsonb_build_object(
    'verdict', CASE
        WHEN repeated.id IS NOT NULL THEN 'repeat'
        WHEN started.id IS NOT NULL THEN 'started'
        WHEN NOT settings.enabled THEN 'disabled'
        WHEN EXISTS (SELECT FROM chosen) THEN 'passed_over'
        WHEN brake.held_by IS NOT NULL THEN 'held'
        WHEN NOT room.is_left THEN 'no_slot'
        -- A slot that is free in the snapshot and was not to be had is another claim's, which may have left the one
        -- freed for it. Without one all is taken for certain: what was freed since was committed by somebody who
        -- claims after that.
        WHEN NOT EXISTS (SELECT FROM free_slot) THEN CASE
            WHEN EXISTS (
                SELECT FROM migration_slots AS s WHERE s.slot <= settings.capacity AND s.repository_id IS NULL
                    AND (settings.waiting_time_seconds = 0 OR s.freed_at IS NULL
                        OR s.freed_at + settings.waiting_time_seconds * interval '1 second' <= now())
            ) THEN 'passed_over'
            WHEN EXISTS (
                SELECT FROM migration_slots AS s WHERE s.slot <= settings.capacity AND s.repository_id IS NULL
                    AND settings.waiting_time_seconds > 0
                    AND s.freed_at + settings.waiting_time_seconds * interval '1 second' > now()
            ) THEN 'slot_waits'
            ELSE 'no_slot'
        END
        ELSE 'none_due'
    END,
    'held', CASE WHEN brake.held_by IS NOT NULL THEN
        jsonb_build_object('by', brake.held_by, 'until', brake.held_until) END,
    'row', coalesce(to_jsonb(started), to_jsonb(repeated))
)::text
FROM settings
CROSS JOIN brake
CROSS JOIN room
LEFT JOIN repeated ON true
LEFT JOIN started ON true
