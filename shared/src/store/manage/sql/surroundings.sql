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
        jsonb_build_object('by', brake.held_by, 'until', brake.held_until) END
)::text
FROM container_repositories AS c
CROSS JOIN settings
CROSS JOIN brake
CROSS JOIN slots
WHERE c.path = :path
