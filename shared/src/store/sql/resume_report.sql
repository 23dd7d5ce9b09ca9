SELECT jsonb_build_object(
    'verdict', CASE
        WHEN repeated.id IS NOT NULL THEN 'repeat'
        WHEN started.id IS NOT NULL THEN 'started'
        WHEN NOT settings.enabled THEN 'disabled'
        WHEN held.id IS NOT NULL THEN 'to_be_held'
        WHEN EXISTS (SELECT FROM chosen) THEN 'passed_over'
        WHEN brake.held_by IS NOT NULL THEN 'held'
        ELSE 'none_due'
    END,
    'held', CASE WHEN brake.held_by IS NOT NULL THEN
        jsonb_build_object('by', brake.held_by, 'until', brake.held_until) END,
    'row', coalesce(to_jsonb(started), to_jsonb(repeated), to_jsonb(held))
)::text
FROM settings
CROSS JOIN brake
LEFT JOIN repeated ON true
LEFT JOIN started ON true
LEFT JOIN held ON true
