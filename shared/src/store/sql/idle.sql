-- Whether nothing is in progress and nothing may be started: then there is nothing to look at before somebody comes.
-- Each question is one index's first entry.
SELECT to_jsonb(
    (SELECT min(repository_id) FROM migration_slots) IS NULL
    AND NOT (
        settings.enabled AND settings.capacity > 0 AND coalesce(
            (SELECT min(state_since) FROM container_repositories WHERE migration_state = 'default'),
            (SELECT min(state_since) FROM container_repositories WHERE migration_state = 'import_aborted')
        ) IS NOT NULL
    )
)::text
FROM (SELECT enabled, capacity FROM migration_settings LIMIT 1) AS settings
