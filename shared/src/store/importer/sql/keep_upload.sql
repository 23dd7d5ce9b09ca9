-- Only the holder of the lease keeps what it sent.
WITH kept AS (
    INSERT INTO import_uploads AS u (target, digest, location, sent, hash)
    SELECT :target, :digest, :location, :sent, :hash FROM imports
    WHERE source = :source AND worker = :worker::uuid
    ON CONFLICT (target, digest) DO UPDATE SET
        location = excluded.location, sent = excluded.sent, hash = excluded.hash, updated_at = now()
    RETURNING u.digest
)
SELECT jsonb_build_object('kept', (SELECT count(*) FROM kept))::text
