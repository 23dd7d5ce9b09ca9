-- Removes a row with its history, unless it is in progress: what runs at the registry would notify nobody. The removal
-- is a change, so the row that it reports has one version more: who names that is not shown the row by a reader that
-- still has it.
WITH before AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE path = :path FOR UPDATE
),
removed AS (
    DELETE FROM container_repositories AS c
    USING before
    WHERE c.id = before.id AND before.migration_state NOT IN ('pre_importing', 'pre_import_done', 'importing')
    RETURNING c.id
)
SELECT jsonb_build_object(
    'removed', removed.id IS NOT NULL,
    'row', to_jsonb(before) || jsonb_build_object('version', before.version + (removed.id IS NOT NULL)::integer)
)::text
FROM before
LEFT JOIN removed ON true
