SELECT to_jsonb(c)::text
FROM container_repositories AS c
WHERE (:state::text IS NULL OR c.migration_state = :state::text)
    AND (:after::text IS NULL OR c.path > :after::text)
ORDER BY c.path
LIMIT :limit
