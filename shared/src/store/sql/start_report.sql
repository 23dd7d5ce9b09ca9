SELECT jsonb_build_object(
    'verdict', CASE
        WHEN repeated.id IS NOT NULL THEN 'repeat'
        WHEN started.id IS NOT NULL THEN 'started'
        WHEN NOT EXISTS (SELECT FROM candidate) THEN 'wrong_state'
        WHEN NOT settings.enabled THEN 'disabled'
        WHEN EXISTS (SELECT FROM chosen) THEN 'passed_over'
        WHEN brake.held_by IS NOT NULL THEN 'held'
        ELSE 'no_slot'
    END,
    'held', CASE WHEN brake.held_by IS NOT NULL THEN
        jsonb_build_object('by', brake.held_by, 'until', brake.held_until) END,
    'row', coalesce(to_jsonb(started), to_jsonb(named))
)::text
FROM named
CROSS JOIN settings
CROSS JOIN brake
LEFT JOIN repeated ON true
LEFT JOIN started ON true
