-- What reopening by the same filter would match.
WITH matching AS MATERIALIZED (
    SELECT c.path FROM container_repositories AS c
    WHERE c.migration_state = :state
        AND (:reason::smallint IS NULL OR c.skipped_reason = :reason::smallint)
        AND starts_with(c.path, :prefix)
)
SELECT jsonb_build_object(
    'matching', (SELECT count(*) FROM matching),
    'reopened', 0,
    'sample', (
        SELECT coalesce(jsonb_agg(path ORDER BY path), '[]') FROM (SELECT path FROM matching ORDER BY path LIMIT 20) AS s
    )
)::text
