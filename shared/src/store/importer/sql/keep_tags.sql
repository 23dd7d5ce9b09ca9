-- What became of some tags, by the holder of the lease of the newest attempt. Durable: it is what a migration is proven by.
WITH holder AS MATERIALIZED (
    SELECT source, attempt FROM imports
    WHERE source = :source AND worker = :worker::uuid AND attempt = :attempt::uuid
    FOR SHARE
),
kept AS (
    INSERT INTO import_tags AS t (
        source, tag, source_digest, target_digest, state, wrote, checked_at, attempt, cause, error
    )
    SELECT
        holder.source, r.tag, r.source_digest, r.target_digest, r.state, coalesce(r.wrote, false),
        now(), holder.attempt, r.cause, r.error
    FROM jsonb_to_recordset(:tags::jsonb) AS r (
        tag text, source_digest text, target_digest text, state text, wrote boolean, cause text, error text
    )
    CROSS JOIN holder
    ORDER BY r.tag
    ON CONFLICT (source, tag) DO UPDATE SET
        source_digest = excluded.source_digest, target_digest = excluded.target_digest, state = excluded.state,
        wrote = t.wrote OR excluded.wrote, checked_at = excluded.checked_at, attempt = excluded.attempt,
        cause = excluded.cause, error = excluded.error
    RETURNING t.tag
)
SELECT jsonb_build_object('kept', (SELECT count(*) FROM kept))::text
