-- What is in progress and nobody works on, the oldest lease first; and frees the slots of what was canceled while
-- nobody did.
WITH abandoned AS (
    UPDATE imports SET
        slot = NULL, worker = NULL, lease_until = NULL,
        notice_at = CASE WHEN request_id IS NOT NULL THEN now() END
    WHERE slot IS NOT NULL AND status IN ('pre_import_canceled', 'import_canceled')
        AND (lease_until IS NULL OR lease_until <= now())
    RETURNING source
),
freed AS (
    UPDATE import_slots AS s SET source = NULL FROM abandoned WHERE s.source = abandoned.source
)
SELECT to_jsonb(i.source)::text FROM imports AS i
WHERE i.slot IS NOT NULL AND i.status IN ('pre_import_in_progress', 'import_in_progress')
    AND (i.lease_until IS NULL OR i.lease_until <= now())
ORDER BY i.lease_until NULLS FIRST
LIMIT 1000
