-- Keeps what the tags of a repository were before the final step that its attempt asks for; without a list the row says
-- that nobody will have compared them. Sent again it does the same again.
WITH before AS MATERIALIZED (
    SELECT id, migration_state, attempt FROM container_repositories WHERE path = :path FOR UPDATE
),
current AS MATERIALIZED (
    SELECT id FROM before WHERE migration_state = 'importing' AND attempt = :attempt::uuid
),
kept AS (
    INSERT INTO migration_tag_lists (repository_id, count, hash, names)
    SELECT current.id, :count::bigint, :hash::text, decode(:names::text, 'base64')
    FROM current
    WHERE :hash::text IS NOT NULL
    ON CONFLICT (repository_id) DO UPDATE SET
        listed_at = now(), next_check_at = now(), count = excluded.count, hash = excluded.hash, names = excluded.names
),
changed AS (
    UPDATE container_repositories AS c SET tags_check = :check
    FROM current
    WHERE c.id = current.id
    RETURNING c.*
)
SELECT to_jsonb(changed)::text FROM changed
