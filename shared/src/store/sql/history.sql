-- One row per transition and per ignored notification, oldest first; a repository without any is one row too.
SELECT jsonb_build_object(
    'version', c.version,
    'migration_state', c.migration_state,
    'transition', to_jsonb(page)
)::text
FROM container_repositories AS c
LEFT JOIN LATERAL (
    SELECT
        t.id, t.version, t.event, t.from_state, t.to_state, t.cause, t.applied, t.verdict, t.attempt,
        t.reported_attempt, t.slot, t.detail, t.created_at
    FROM migration_transitions AS t
    WHERE t.repository_id = c.id AND t.id > :after
    ORDER BY t.id
    LIMIT :limit
) AS page ON true
WHERE c.path = :path
ORDER BY page.id
