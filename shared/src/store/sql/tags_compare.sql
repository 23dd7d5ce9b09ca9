-- Compares what the tags of a finished repository are now with what was kept before its final step. Where they are the
-- same all is said and done; elsewhere the names that were kept are needed, and are told.
WITH before AS MATERIALIZED (
    SELECT id, migration_state, tags_check FROM container_repositories WHERE path = :path FOR UPDATE
),
pending AS MATERIALIZED (
    SELECT before.id, l.count, l.names, l.hash = :hash AND l.count = :count AS same
    FROM before
    JOIN migration_tag_lists AS l ON l.repository_id = before.id
    WHERE before.migration_state = 'import_done' AND before.tags_check IN ('tags_listed', 'tags_counted')
),
completed AS (
    UPDATE container_repositories AS c SET tags_check = 'tags_complete'
    FROM pending
    WHERE c.id = pending.id AND pending.same
),
dropped AS (
    DELETE FROM migration_tag_lists AS l
    USING pending
    WHERE l.repository_id = pending.id AND pending.same
)
SELECT jsonb_build_object(
    'verdict', CASE WHEN pending.id IS NULL THEN 'nothing' WHEN pending.same THEN 'same' ELSE 'differs' END,
    'count', pending.count,
    'names', CASE WHEN NOT pending.same THEN translate(encode(pending.names, 'base64'), chr(10), '') END
)::text
FROM before
LEFT JOIN pending ON true
