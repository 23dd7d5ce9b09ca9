-- Removes a row with its history, unless it is in progress: what runs at the registry would notify nobody.
WITH before AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE path = :path FOR UPDATE
),
removed AS (
    DELETE FROM container_repositories AS c
    USING before
    WHERE c.id = before.id AND before.migration_state NOT IN ('pre_importing', 'pre_import_done', 'importing')
    RETURNING c.id
)
SELECT jsonb_build_object('removed', EXISTS (SELECT FROM removed), 'row', to_jsonb(before))::text
FROM before
