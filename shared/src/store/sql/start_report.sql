SELECT jsonb_build_object(
    'verdict', CASE
        WHEN repeated.id IS NOT NULL THEN 'repeat'
        WHEN started.id IS NOT NULL THEN 'started'
        WHEN NOT EXISTS (SELECT FROM candidate) THEN 'wrong_state'
        WHEN NOT settings.enabled THEN 'disabled'
        ELSE 'no_slot'
    END,
    'row', coalesce(to_jsonb(started), to_jsonb(named))
)::text
FROM named
CROSS JOIN settings
LEFT JOIN repeated ON true
LEFT JOIN started ON true
