-- Who is to be told how an import ended. Whoever takes one has a minute to tell it.
WITH due AS MATERIALIZED (
    SELECT source FROM imports WHERE notice_at <= now() ORDER BY notice_at LIMIT 100 FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE imports AS i SET notice_at = now() + interval '1 minute', notices = i.notices + 1
    FROM due WHERE i.source = due.source
    RETURNING i.*
)
SELECT (to_jsonb(taken) || jsonb_build_object(
    'idle_seconds', 0, 'age_seconds', greatest(0, floor(extract(epoch FROM now() - ended_at)))::bigint
))::text
FROM taken
