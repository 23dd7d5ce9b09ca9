-- One row per transition and per ignored notification, oldest first; a repository without any is one row too.
-- A result holds 1 MiB: where the rows are longer, the page has fewer of them, and says how many were found.
WITH page AS MATERIALIZED (
    SELECT
        t.id,
        jsonb_build_object(
            'version', c.version,
            'migration_state', c.migration_state,
            'transition', to_jsonb(t)
        ) AS document
    FROM container_repositories AS c
    LEFT JOIN LATERAL (
        SELECT
            t.id, t.version, t.event, t.from_state, t.to_state, t.cause, t.applied, t.verdict, t.attempt,
            t.reported_attempt, t.slot, t.detail, t.operator, t.created_at
        FROM migration_transitions AS t
        WHERE t.repository_id = c.id AND t.id > :after
        ORDER BY t.id
        LIMIT :limit
    ) AS t ON true
    WHERE c.path = :path
),
measured AS (
    SELECT
        page.id,
        page.document,
        count(*) OVER () AS found,
        sum(octet_length(page.document::text)) OVER (ORDER BY page.id) AS bytes
    FROM page
)
SELECT jsonb_build_object('found', measured.found, 'row', measured.document)::text
FROM measured
WHERE measured.bytes <= 900000
ORDER BY measured.id
