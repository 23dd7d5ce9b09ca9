-- What became of each repository, a page in the order of the paths, each with its history and the importer's proof summed
-- up. Each state's part of the page is found by index, as in a list.
--
-- A result holds 1 MiB: where the rows are longer, the page has fewer of them, and says how many were found. A row alone
-- always fits: a hundred names of at most 400 bytes, and a thousand tags of at most 210.
WITH found AS MATERIALIZED (
    SELECT of_state.path
    FROM unnest(string_to_array(:states::text, ',')) AS wanted (state)
    CROSS JOIN LATERAL (
        SELECT r.path FROM container_repositories AS r
        WHERE r.migration_state = wanted.state
            AND r.path COLLATE "C" > :after::text
            AND r.path COLLATE "C" >= :prefix::text
            AND r.path COLLATE "C" < :prefix::text || '~'
        ORDER BY r.path COLLATE "C"
        LIMIT :limit
    ) AS of_state
    ORDER BY of_state.path COLLATE "C"
    LIMIT :limit
),
measured AS (
    SELECT
        found.path,
        shown.document,
        count(*) OVER () AS found,
        sum(octet_length(shown.document::text)) OVER (ORDER BY found.path COLLATE "C") AS bytes
    FROM found
    -- Row by row: a join might read the whole table for it.
    CROSS JOIN LATERAL (
        SELECT jsonb_build_object(
            'path', c.path,
            'migration_state', c.migration_state,
            'skipped_reason', c.skipped_reason,
            'created_at', c.created_at,
            'started_at', started.at,
            'state_since', c.state_since,
            'retries_count', c.retries_count,
            'tags_count', c.tags_count,
            'tags_check', c.tags_check,
            'tags_missing', c.missing_tags -> 'count',
            'detail', coalesce(c.detail, last.detail),
            'changed_by', coalesce(actors.list, '[]'),
            'proven', proven.document
        ) AS document
        FROM container_repositories AS c
        LEFT JOIN LATERAL (
            SELECT t.created_at AS at FROM migration_transitions AS t
            WHERE t.repository_id = c.id AND t.applied AND t.to_state IN ('pre_importing', 'importing')
            ORDER BY t.id
            LIMIT 1
        ) AS started ON true
        LEFT JOIN LATERAL (
            SELECT t.detail FROM migration_transitions AS t WHERE t.repository_id = c.id ORDER BY t.id DESC LIMIT 1
        ) AS last ON true
        LEFT JOIN LATERAL (
            SELECT jsonb_agg(jsonb_build_object('cause', a.cause, 'operator', a.operator) ORDER BY a.first) AS list
            FROM (
                SELECT t.cause, t.operator, min(t.id) AS first FROM migration_transitions AS t
                WHERE t.repository_id = c.id AND t.applied
                GROUP BY t.cause, t.operator
                ORDER BY first
                LIMIT 100
            ) AS a
        ) AS actors ON true
        LEFT JOIN LATERAL (
            SELECT jsonb_build_object(
                'tags', (
                    SELECT count(*) FROM import_tags AS t WHERE t.source = i.source AND t.state IN ('equal', 'merged')
                ),
                'digests', (
                    SELECT coalesce(jsonb_object_agg(of_tag.tag, of_tag.target_digest), '{}')
                    FROM (
                        SELECT t.tag, t.target_digest FROM import_tags AS t
                        WHERE t.source = i.source AND t.state IN ('equal', 'merged')
                        ORDER BY t.tag
                        LIMIT 1000
                    ) AS of_tag
                )
            ) AS document
            FROM imports AS i
            WHERE i.source = c.path
        ) AS proven ON true
        WHERE c.path = found.path
        OFFSET 0
    ) AS shown
)
SELECT jsonb_build_object('found', measured.found, 'row', measured.document)::text
FROM measured
WHERE measured.bytes <= 900000
ORDER BY measured.path COLLATE "C"
