-- Stores a step's end and frees its slot. A step that was canceled meanwhile stays canceled. Only the holder of the
-- lease of the newest attempt ends it; sent again it finds its own end.
WITH before AS MATERIALIZED (
    SELECT * FROM imports WHERE source = :source FOR UPDATE
),
ended AS (
    UPDATE imports AS i SET
        status = CASE
            WHEN before.status IN ('pre_import_canceled', 'import_canceled') THEN before.status
            ELSE :status
        END,
        cause = CASE WHEN before.status IN ('pre_import_canceled', 'import_canceled') THEN NULL ELSE :cause END,
        error = CASE WHEN before.status IN ('pre_import_canceled', 'import_canceled') THEN NULL ELSE :error END,
        notice_at = CASE WHEN i.request_id IS NOT NULL THEN now() END,
        version = i.version + 1, ended_at = coalesce(i.ended_at, now()), slot = NULL, worker = NULL,
        lease_until = NULL
    FROM before
    WHERE i.source = before.source AND before.worker = :worker::uuid AND before.attempt = :attempt::uuid
    RETURNING i.source, i.status
),
freed AS (
    UPDATE import_slots AS s SET source = NULL FROM ended WHERE s.source = ended.source
),
uncopied AS (
    DELETE FROM import_blobs AS b USING ended WHERE b.source = ended.source AND NOT b.there
)
SELECT jsonb_build_object(
    'status', coalesce(
        (SELECT status FROM ended),
        (SELECT status FROM before WHERE attempt = :attempt::uuid AND worker IS NULL AND slot IS NULL)
    )
)::text
