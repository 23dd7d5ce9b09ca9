-- What the importer knows of one repository, and its tags: those that are not equal first. One row, or none.
SELECT jsonb_build_object(
    'target', i.target,
    'status', i.status,
    'attempt', i.attempt,
    'started_at', i.started_at,
    'ended_at', i.ended_at,
    'bytes_known', i.bytes_known,
    'bytes_done', i.bytes_done,
    'cause', i.cause,
    'error', i.error,
    'tags', (
        SELECT coalesce(jsonb_object_agg(of_state.state, of_state.count), '{}') FROM (
            SELECT t.state, count(*) AS count FROM import_tags AS t WHERE t.source = i.source GROUP BY t.state
        ) AS of_state
    ),
    'first_tags', (
        SELECT coalesce(jsonb_agg(first.document), '[]') FROM (
            SELECT jsonb_build_object(
                'tag', t.tag, 'state', t.state, 'source_digest', t.source_digest, 'target_digest', t.target_digest,
                'cause', t.cause, 'checked_at', t.checked_at
            ) AS document
            FROM import_tags AS t
            WHERE t.source = i.source
            ORDER BY t.state = 'equal', t.tag
            LIMIT 100
        ) AS first
    )
)::text
FROM imports AS i
WHERE i.source = :path
