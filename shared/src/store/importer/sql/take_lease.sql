-- Whoever gets the lease works on the import until it runs out. None is given while another lives, and none for what is
-- not in progress. Sent again it is given to the same worker.
WITH settings AS MATERIALIZED (
    SELECT coalesce((SELECT lease_seconds FROM importer_settings), 30) * interval '1 second' AS lease
),
taken AS (
    UPDATE imports AS i SET
        worker = :worker::uuid, lease_until = now() + settings.lease, heartbeat_at = now(),
        lease_lost = i.lease_lost OR (i.worker IS NOT NULL AND i.worker <> :worker::uuid)
    FROM settings
    WHERE i.source = :source AND i.status IN ('pre_import_in_progress', 'import_in_progress')
        AND (i.lease_until IS NULL OR i.lease_until <= now() OR i.worker = :worker::uuid)
    RETURNING i.*
)
SELECT (to_jsonb(taken) || jsonb_build_object('idle_seconds', 0))::text FROM taken
