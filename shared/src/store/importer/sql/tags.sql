SELECT jsonb_build_object(
    'tag', tag, 'source_digest', source_digest, 'target_digest', target_digest, 'state', state, 'wrote', wrote,
    'cause', cause, 'error', error
)::text
FROM import_tags WHERE source = :source AND tag > :after
ORDER BY tag LIMIT 500
