SELECT jsonb_build_object(
    'source', t.source, 'target', i.target, 'tag', t.tag, 'source_digest', t.source_digest,
    'target_digest', t.target_digest, 'state', t.state, 'cause', t.cause, 'error', t.error,
    'checked_at', t.checked_at, 'attempt', t.attempt
)::text
FROM import_tags AS t
JOIN imports AS i ON i.source = t.source
WHERE (t.source, t.tag) > (:source, :tag)
ORDER BY t.source, t.tag
LIMIT 500
