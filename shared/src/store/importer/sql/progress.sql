SELECT (to_jsonb(i) || jsonb_build_object(
    'idle_seconds', greatest(0, floor(extract(epoch FROM now() - i.moved_at)))::bigint
))::text
FROM imports AS i
WHERE i.source > :after
ORDER BY i.source LIMIT 500
