-- How fast it goes: what has ended in each of sixty parts of the last hours, and how new the newest of all changes is.
-- At most :lines lines of the history are looked at, the newest: `since` says from when on they are complete.
WITH newest AS MATERIALIZED (
    SELECT id, created_at FROM migration_transitions ORDER BY id DESC LIMIT 1
),
begun AS MATERIALIZED (
    SELECT greatest(
        now() - :hours::bigint * interval '1 hour',
        (
            SELECT t.created_at FROM migration_transitions AS t
            WHERE t.id <= (SELECT id FROM newest) - :lines::bigint
            ORDER BY t.id DESC
            LIMIT 1
        )
    ) AS since
),
ended AS MATERIALIZED (
    SELECT
        floor(extract(epoch FROM t.created_at) / (:hours::bigint * 60)) AS part,
        count(*) FILTER (WHERE t.to_state = 'import_done') AS done,
        count(*) FILTER (WHERE t.to_state = 'import_skipped') AS skipped,
        count(*) FILTER (WHERE t.to_state = 'import_aborted') AS aborted
    -- PostgreSQL believes a limit. A comparison of ids it takes for a third of all lines, and compiles the statement first.
    FROM (
        SELECT * FROM migration_transitions ORDER BY id DESC LIMIT :lines::bigint
    ) AS t
    WHERE t.created_at > (SELECT since FROM begun)
        AND t.applied
        AND t.to_state IN ('import_done', 'import_skipped', 'import_aborted')
        AND t.from_state <> t.to_state
    GROUP BY part
)
SELECT jsonb_build_object(
    'at', now(),
    'since', begun.since,
    'part_seconds', :hours::bigint * 60,
    'parts', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'at', to_timestamp(part * :hours::bigint * 60), 'done', done, 'skipped', skipped, 'aborted', aborted
        ) ORDER BY part), '[]') FROM ended
    ),
    -- A replica that shows it has everything from before.
    'newest_change_at', greatest((SELECT created_at FROM newest), (SELECT marked_at FROM replica_mark)),
    -- What the importer knows of; none where a registry imports by itself.
    'importer', (
        SELECT jsonb_build_object(
            'repositories', count(*),
            'bytes_known', coalesce(sum(bytes_known), 0),
            'bytes_done', coalesce(sum(bytes_done), 0)
        ) FROM (SELECT bytes_known, bytes_done FROM imports LIMIT :lines::bigint) AS copied HAVING count(*) > 0
    )
)::text
FROM begun
