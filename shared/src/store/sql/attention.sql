-- What somebody should look at, a page in the order of the paths: what failed or was given up, what is stuck, and what has
-- lost tags. Each kind's part of the page is found by index; those in progress, which are few, are looked at.
--
-- A result holds 1 MiB: where the rows are longer, the page has fewer of them, and says how many were found.
WITH troubled AS MATERIALIZED (
    SELECT of_kind.path, of_kind.trouble
    FROM (
        SELECT of_state.path, wanted.trouble
        FROM (VALUES ('import_aborted', 'failed'), ('import_skipped', 'skipped')) AS wanted (state, trouble)
        CROSS JOIN LATERAL (
            SELECT r.path FROM container_repositories AS r
            WHERE r.migration_state = wanted.state
                AND r.path COLLATE "C" > :after::text
                AND r.path COLLATE "C" >= :prefix::text
                AND r.path COLLATE "C" < :prefix::text || '~'
            ORDER BY r.path COLLATE "C"
            LIMIT :limit
        ) AS of_state
        UNION ALL
        SELECT of_check.path, wanted.trouble
        FROM (VALUES ('tags_missing'), ('tags_unverified')) AS wanted (trouble)
        CROSS JOIN LATERAL (
            SELECT r.path FROM container_repositories AS r
            -- By name, as the index has them.
            WHERE r.tags_check = wanted.trouble AND r.tags_check IN ('tags_missing', 'tags_unverified')
                AND r.path COLLATE "C" > :after::text
                AND r.path COLLATE "C" >= :prefix::text
                AND r.path COLLATE "C" < :prefix::text || '~'
            ORDER BY r.path COLLATE "C"
            LIMIT :limit
        ) AS of_check
        UNION ALL
        SELECT late.path, 'stuck'
        FROM migration_settings AS settings
        CROSS JOIN LATERAL (
            SELECT c.path, CASE c.migration_state
                WHEN 'pre_importing' THEN c.pre_import_started_at
                WHEN 'importing' THEN c.import_started_at
                -- Parked: late from when it may go on.
                WHEN 'pre_import_done' THEN CASE WHEN settings.enabled THEN greatest(
                    c.pre_import_done_at, c.not_before,
                    (SELECT max(created_at) FROM migration_settings_changes WHERE changes -> 'enabled' = 'true')
                ) END
            END AS since
            FROM migration_slots AS slots
            CROSS JOIN LATERAL (
                SELECT * FROM container_repositories AS r WHERE r.id = slots.repository_id OFFSET 0
            ) AS c
            WHERE slots.repository_id IS NOT NULL
        ) AS late
        WHERE late.since < now() - settings.max_step_duration_seconds * interval '1 second'
            AND late.path COLLATE "C" > :after::text
            AND late.path COLLATE "C" >= :prefix::text
            AND late.path COLLATE "C" < :prefix::text || '~'
    ) AS of_kind
    ORDER BY of_kind.path COLLATE "C"
    LIMIT :limit
),
measured AS (
    SELECT
        troubled.path,
        shown.document,
        count(*) OVER () AS found,
        sum(octet_length(shown.document::text)) OVER (ORDER BY troubled.path COLLATE "C") AS bytes
    FROM troubled
    -- Row by row: a join might read the whole table for it.
    CROSS JOIN LATERAL (
        SELECT jsonb_build_object(
            'path', c.path,
            'trouble', troubled.trouble,
            'version', c.version,
            'migration_state', c.migration_state,
            'skipped_reason', c.skipped_reason,
            'aborted_in_state', c.aborted_in_state,
            'detail', c.detail,
            'retries_count', c.retries_count,
            'not_before', c.not_before,
            'state_since', c.state_since
        ) AS document
        FROM container_repositories AS c
        WHERE c.path = troubled.path
        OFFSET 0
    ) AS shown
)
SELECT jsonb_build_object('found', measured.found, 'row', measured.document)::text
FROM measured
WHERE measured.bytes <= 900000
ORDER BY measured.path COLLATE "C"
