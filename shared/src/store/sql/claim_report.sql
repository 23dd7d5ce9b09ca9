SELECT jsonb_build_object(
    'verdict', CASE
        WHEN repeated.id IS NOT NULL THEN 'repeat'
        WHEN started.id IS NOT NULL THEN 'started'
        WHEN NOT settings.enabled THEN 'disabled'
        WHEN NOT EXISTS (SELECT FROM free_slot) THEN 'no_slot'
        ELSE 'none_due'
    END,
    'row', coalesce(to_jsonb(started), to_jsonb(repeated))
)::text
FROM settings
LEFT JOIN repeated ON true
LEFT JOIN started ON true
