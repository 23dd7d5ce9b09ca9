-- Registers what is not there yet and leaves what is there as it is. In the order of the paths, so that two
-- calls with the same paths wait for each other and do not lock each other out.
--
-- Sent again it counts what an earlier sending registered: a row of the same registration is in conflict with
-- itself, and the update that changes nothing returns it. That sees the row as it is committed, so it holds too
-- where the earlier sending was still under way. Other rows that are there already are not touched.
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(:repositories::jsonb)
        AS g (path text, tags_count integer, plan text, priority integer)
),
registered AS (
    INSERT INTO container_repositories AS c (path, tags_count, plan, priority, registration)
    SELECT path, tags_count, plan, coalesce(priority, 0), :registration::uuid FROM given
    WHERE NOT EXISTS (
        SELECT FROM container_repositories AS there
        WHERE there.path = given.path AND there.registration IS DISTINCT FROM :registration::uuid
    )
    ORDER BY path
    ON CONFLICT (path) DO UPDATE SET registration = excluded.registration
        WHERE c.registration = excluded.registration
    RETURNING c.id
)
SELECT to_jsonb(count(*))::text FROM registered
