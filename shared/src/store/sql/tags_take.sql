-- Finished repositories whose tags are still to be compared: those that were never looked at first. Any number of guards
-- may run at once. One is not due again before a minute, and then after as long as it has been waiting, an hour at
-- most. The process that took the last notification compares them at once, so it has a moment. Lists that nobody waits
-- for any more are removed on the way, a few at a time.
WITH due AS MATERIALIZED (
    SELECT l.repository_id
    FROM migration_tag_lists AS l
    JOIN container_repositories AS c ON c.id = l.repository_id
    WHERE l.next_check_at <= now()
        AND c.migration_state = 'import_done' AND c.tags_check IN ('tags_listed', 'tags_counted')
        AND c.import_done_at < now() - interval '15 seconds'
    ORDER BY l.next_check_at
    LIMIT :limit
    FOR UPDATE OF l SKIP LOCKED
),
taken AS (
    UPDATE migration_tag_lists AS l SET
        next_check_at = now() + greatest(interval '1 minute', least(now() - c.import_done_at, interval '1 hour'))
    FROM due
    JOIN container_repositories AS c ON c.id = due.repository_id
    WHERE l.repository_id = due.repository_id
    RETURNING l.repository_id
),
old AS MATERIALIZED (
    SELECT repository_id FROM migration_tag_lists
    WHERE next_check_at < now() - interval '1 hour'
    ORDER BY next_check_at
    LIMIT 100
),
removed AS (
    DELETE FROM migration_tag_lists AS l
    USING old
    LEFT JOIN container_repositories AS c ON c.id = old.repository_id
    WHERE l.repository_id = old.repository_id
        AND c.tags_check IS DISTINCT FROM 'tags_listed' AND c.tags_check IS DISTINCT FROM 'tags_counted'
)
SELECT to_jsonb(c)::text
FROM taken
JOIN container_repositories AS c ON c.id = taken.repository_id
ORDER BY c.id
