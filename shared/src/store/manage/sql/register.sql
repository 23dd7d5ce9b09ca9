-- Registers what is not there yet and leaves what is there as it is. In the order of the paths, so that two
-- calls with the same paths wait for each other and do not lock each other out.
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(:repositories::jsonb)
        AS g (path text, tags_count integer, plan text, priority integer)
),
registered AS (
    INSERT INTO container_repositories (path, tags_count, plan, priority)
    SELECT path, tags_count, plan, coalesce(priority, 0) FROM given ORDER BY path
    ON CONFLICT (path) DO NOTHING
    RETURNING id
)
SELECT to_jsonb(count(*))::text FROM registered
