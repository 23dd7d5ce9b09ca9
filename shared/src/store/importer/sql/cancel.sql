-- Cancels what is in progress, or, by force, takes back what has ended. The status is written at once; a worker notices
-- by its heartbeat, and frees the slot. Where none works on it the slot is free at once.
WITH before AS MATERIALIZED (
    SELECT *, coalesce(lease_until > now(), false) AS is_worked_on FROM imports WHERE source = :source
    FOR UPDATE
),
judged AS MATERIALIZED (
    SELECT CASE
        WHEN before.status IS NULL THEN 'unknown'
        WHEN before.status IN ('pre_import_in_progress', 'import_in_progress') THEN 'canceled'
        WHEN :force::boolean THEN 'canceled'
        ELSE 'ended'
    END AS verdict
    FROM (SELECT) AS once LEFT JOIN before ON true
),
canceled AS (
    UPDATE imports AS i SET
        status = CASE
            WHEN before.status IN ('pre_import_in_progress', 'pre_import_complete', 'pre_import_canceled')
                THEN 'pre_import_canceled'
            ELSE 'import_canceled'
        END,
        version = i.version + 1, ended_at = now(), cause = NULL, error = NULL,
        -- Whoever works on it tells it when it has ended.
        notice_at = CASE WHEN before.ended_at IS NULL AND NOT before.is_worked_on AND i.request_id IS NOT NULL THEN now() END,
        slot = CASE WHEN before.is_worked_on THEN i.slot END,
        worker = CASE WHEN before.is_worked_on THEN i.worker END,
        lease_until = CASE WHEN before.is_worked_on THEN i.lease_until END
    FROM before CROSS JOIN judged
    WHERE i.source = before.source AND judged.verdict = 'canceled'
    RETURNING i.source, i.slot
),
freed AS (
    UPDATE import_slots AS s SET source = NULL FROM canceled WHERE s.source = canceled.source AND canceled.slot IS NULL
)
SELECT jsonb_build_object('verdict', judged.verdict, 'status', (SELECT status FROM before))::text FROM judged
