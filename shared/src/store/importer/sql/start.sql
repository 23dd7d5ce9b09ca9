-- Starts a step, or says by the plan why it is not started. The plan has a verdict for every status, and one for a
-- repository that was never asked for (`absent`). Whether there is room is said first, whatever the repository's status
-- is; it is the slot's lock that decides it for one that would start. Sent again it finds its own change.
WITH settings AS MATERIALIZED (
    SELECT coalesce((SELECT capacity FROM importer_settings), 10) AS capacity
),
before AS MATERIALIZED (
    SELECT * FROM imports WHERE source = :source FOR UPDATE
),
judged AS MATERIALIZED (
    SELECT CASE
        WHEN before.change = :change::uuid THEN 'repeat'
        WHEN NOT EXISTS (SELECT FROM import_slots, settings WHERE slot <= capacity AND import_slots.source IS NULL)
            THEN 'rate_limited'
        WHEN :type::text IS NULL THEN 'wrong_type'
        WHEN before.status = 'pre_import_canceled' AND before.ended_at > now() - :settle_seconds::bigint * interval '1 second' THEN 'not_ready'
        ELSE :plan::jsonb ->> coalesce(before.status, 'absent')
    END AS verdict
    FROM (SELECT) AS once LEFT JOIN before ON true
),
free_slot AS MATERIALIZED (
    SELECT s.slot FROM import_slots AS s CROSS JOIN settings
    WHERE s.slot <= settings.capacity AND s.source IS NULL
        AND (SELECT verdict FROM judged) = 'start' AND NOT EXISTS (SELECT FROM before WHERE slot IS NOT NULL)
    ORDER BY s.slot
    FOR UPDATE OF s SKIP LOCKED
    LIMIT 1
),
started AS (
    INSERT INTO imports AS i (source, target, status, attempt, change, request_id, slot)
    SELECT
        :source, :target, :type || '_in_progress', :attempt::uuid, :change::uuid, :request_id,
        coalesce((SELECT slot FROM before), (SELECT slot FROM free_slot))
    FROM judged
    WHERE judged.verdict = 'start'
        AND (EXISTS (SELECT FROM free_slot) OR EXISTS (SELECT FROM before WHERE slot IS NOT NULL))
    ON CONFLICT (source) DO UPDATE SET
        target = excluded.target, status = excluded.status, attempt = excluded.attempt, change = excluded.change,
        request_id = excluded.request_id, notice_at = NULL, notices = 0, notices_refused = 0,
        slot = excluded.slot, version = i.version + 1, worker = NULL, lease_until = NULL,
        -- Whoever worked on an earlier attempt may still have a request under way.
        lease_lost = i.worker IS NOT NULL, started_at = now(), moved_at = now(), ended_at = NULL, tags_done = 0,
        manifests_done = 0, blobs_done = 0, bytes_done = 0, cause = NULL, error = NULL
        WHERE i.version = (SELECT version FROM before)
    RETURNING i.source, i.slot
),
taken AS (
    UPDATE import_slots AS s SET source = started.source FROM started
    WHERE s.slot = started.slot AND s.source IS DISTINCT FROM started.source
)
SELECT jsonb_build_object(
    'verdict', CASE
        WHEN judged.verdict <> 'start' THEN judged.verdict
        WHEN EXISTS (SELECT FROM started) THEN 'start'
        WHEN EXISTS (SELECT FROM free_slot) OR EXISTS (SELECT FROM before WHERE slot IS NOT NULL) THEN 'raced'
        ELSE 'rate_limited'
    END,
    'status', (SELECT status FROM before)
)::text
FROM judged
