-- Ends a lease before its time. The import goes on with whoever takes it next.
WITH given AS (
    UPDATE imports SET worker = NULL, lease_until = NULL
    WHERE source = :source AND worker = :worker::uuid
    RETURNING source
)
SELECT jsonb_build_object('given', (SELECT count(*) FROM given))::text
