-- Every hold, or one, with what it does now. Of what is held no row is fetched: it is counted in the index.
WITH holds AS MATERIALIZED (
    SELECT h.*, clock.closed_at, clock.changes_at, h.is_until_released OR NOT coalesce(clock.is_open, true) AS is_holding
    FROM migration_holds AS h
    LEFT JOIN LATERAL migration_window(h.opens, h.closes, h.zone) AS clock ON h.opens IS NOT NULL
    WHERE :prefix::text IS NULL OR h.prefix = :prefix::text
)
SELECT jsonb_build_object(
    'prefix', holds.prefix,
    'until_released', holds.is_until_released,
    'window', CASE WHEN holds.opens IS NOT NULL THEN jsonb_build_object(
        'from', left(holds.opens::text, 5), 'until', left(holds.closes::text, 5), 'zone', holds.zone
    ) END,
    'priority', holds.priority,
    'reason', holds.reason,
    'operator', holds.operator,
    'changed_at', holds.changed_at,
    'holding', holds.is_holding,
    'changes_at', CASE WHEN NOT holds.is_until_released THEN holds.changes_at END,
    'held', waiting.held,
    'left_over', CASE WHEN holds.is_holding THEN waiting.left_over ELSE 0 END
)::text
FROM holds
CROSS JOIN LATERAL (
    SELECT
        count(*) AS held,
        -- They were held before the window closed, and so have been released in it.
        count(*) FILTER (WHERE NOT holds.is_until_released AND below.held_since < holds.closed_at) AS left_over
    FROM (
        SELECT c.held_since FROM container_repositories AS c
        WHERE c.migration_state = 'pre_import_done' AND c.held_since IS NOT NULL
            AND c.path COLLATE "C" >= holds.prefix || CASE holds.prefix WHEN '' THEN '' ELSE '/' END
            AND c.path COLLATE "C" < holds.prefix || CASE holds.prefix WHEN '' THEN '~' ELSE '0' END
        UNION ALL
        SELECT c.held_since FROM container_repositories AS c
        WHERE c.migration_state = 'pre_import_done' AND c.held_since IS NOT NULL AND c.path COLLATE "C" = holds.prefix
    ) AS below
) AS waiting
ORDER BY holds.prefix
