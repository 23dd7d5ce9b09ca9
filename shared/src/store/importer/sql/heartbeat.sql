-- Renews a lease and stores how far its holder has come; brings back whether it goes on, and the limits with the number of
-- workers that share them. A holder whose lease ran out unnoticed by others goes on.
WITH settings AS MATERIALIZED (
    SELECT coalesce((SELECT lease_seconds FROM importer_settings), 30) * interval '1 second' AS lease
),
progress AS MATERIALIZED (
    SELECT * FROM jsonb_to_record(:progress::jsonb) AS p (
        tags_known bigint, tags_done bigint, manifests_known bigint, manifests_done bigint,
        blobs_known bigint, blobs_done bigint, bytes_known bigint, bytes_done bigint
    )
),
renewed AS (
    UPDATE imports AS i SET
        lease_until = now() + settings.lease, heartbeat_at = now(),
        wrote = i.wrote OR :wrote::boolean,
        moved_at = CASE WHEN :moved::boolean THEN now() ELSE i.moved_at END,
        tags_known = progress.tags_known, tags_done = progress.tags_done,
        manifests_known = progress.manifests_known, manifests_done = progress.manifests_done,
        blobs_known = progress.blobs_known, blobs_done = progress.blobs_done,
        bytes_known = progress.bytes_known, bytes_done = progress.bytes_done
    FROM settings CROSS JOIN progress
    WHERE i.source = :source AND i.worker = :worker::uuid AND i.attempt = :attempt::uuid
    RETURNING i.status
)
SELECT jsonb_build_object(
    'status', (SELECT status FROM renewed),
    'workers', (SELECT count(*) FROM imports WHERE slot IS NOT NULL AND lease_until > now()),
    'limits', (SELECT coalesce(jsonb_agg(to_jsonb(l)), '[]') FROM import_limits AS l)
)::text
