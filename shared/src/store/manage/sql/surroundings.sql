-- A row with all that decides on what happens to it next, at one moment.
SELECT jsonb_build_object(
    'row', to_jsonb(c),
    'settings', to_jsonb(settings),
    'now', now(),
    'next_check_at', c.next_check_at,
    'empty_slots', slots.empty,
    'slot_at', slots.first_at
)::text
FROM container_repositories AS c
CROSS JOIN migration_settings AS settings
CROSS JOIN LATERAL (
    SELECT
        count(*) AS empty,
        min(coalesce(s.freed_at + settings.waiting_time_seconds * interval '1 second', now())) AS first_at
    FROM migration_slots AS s
    WHERE s.slot <= settings.capacity AND s.repository_id IS NULL
) AS slots
WHERE c.path = :path
