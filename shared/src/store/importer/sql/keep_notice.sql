-- What came of a notice, unless the import was started again meanwhile.
WITH kept AS (
    UPDATE imports SET
        notice_at = now() + :again_seconds::bigint * interval '1 second',
        notices_refused = notices_refused + :refused::boolean::integer
    WHERE source = :source AND version = :version AND notice_at IS NOT NULL
    RETURNING source
)
SELECT jsonb_build_object('kept', (SELECT count(*) FROM kept))::text
