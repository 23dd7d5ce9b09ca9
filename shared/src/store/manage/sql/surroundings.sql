-- A row with all that decides on what happens to it next, at one moment.
slots AS MATERIALIZED (
    SELECT
        -- As many as are in progress are taken off the capacity, whichever slots they hold.
        least(count(*), greatest(max(settings.capacity) - (
            SELECT count(*) FROM container_repositories WHERE slot IS NOT NULL
        ), 0)) AS empty,
        min(coalesce(s.freed_at + settings.waiting_time_seconds * interval '1 second', now())) AS first_at
    FROM settings
    JOIN migration_slots AS s ON s.slot <= settings.capacity AND s.repository_id IS NULL
)
SELECT jsonb_build_object(
    'row', to_jsonb(c),
    'settings', to_jsonb(settings),
    'now', now(),
    'next_check_at', c.next_check_at,
    'empty_slots', slots.empty,
    'slot_at', slots.first_at,
    'held', CASE WHEN brake.held_by IS NOT NULL THEN
        jsonb_build_object('by', brake.held_by, 'until', brake.held_until) END,
    'hold', (
        SELECT jsonb_build_object('prefix', h.prefix, 'opens_at', (
            SELECT clock.changes_at FROM migration_window(h.opens, h.closes, h.zone) AS clock
            WHERE NOT h.is_until_released
        ))
        FROM migration_held_by(c.path) AS held (prefix)
        JOIN migration_holds AS h ON h.prefix = held.prefix
    ),
    'acted', (
        SELECT jsonb_build_object('operator', t.operator, 'event', t.event, 'at', t.created_at)
        FROM migration_transitions AS t
        WHERE t.repository_id = c.id AND t.operator IS NOT NULL
        ORDER BY t.id DESC LIMIT 1
    )
)::text
FROM container_repositories AS c
CROSS JOIN settings
CROSS JOIN brake
CROSS JOIN slots
WHERE c.path = :path
