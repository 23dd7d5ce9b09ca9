-- Takes the lowest free slot for the row that is due next, and starts it. Any number may run at once: a slot
-- and a row are each locked by one session and skipped by the others. Without a free slot no row is looked
-- for, or a claimer would hold a row that another one, with a slot, then misses.
--
-- Which row is next is looked up in index order, without locks, and the first of those found that nobody else
-- has locked is taken. The list is longer than claimers are many; were it not, one would find nothing and the
-- schedule would ask again. Rows that had to wait stand in an index of their own, by the end of their wait, so
-- that none of those that still wait is passed over one by one; nor are the rows of other plans, where plans
-- are chosen. The settings are compared as values of subqueries, which an index can look for. A list among them is
-- looked up in a hash table (NOT IN a subquery): compared as an array it would be unpacked for each row.
--
-- Sent again after an unknown outcome it finds the row that carries its change; while the first sending is
-- still under way, the unique index on `change` lets only one of the two through.
repeated AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE change = :change::uuid
),
free_slot AS MATERIALIZED (
    SELECT s.slot FROM migration_slots AS s
    CROSS JOIN settings
    WHERE settings.enabled AND s.slot <= settings.capacity AND s.repository_id IS NULL
        -- Without a waiting time the clocks do not matter: a slot may be freed by a statement later than this one.
        AND (settings.waiting_time_seconds = 0 OR s.freed_at IS NULL
            OR s.freed_at + settings.waiting_time_seconds * interval '1 second' <= now())
        AND NOT EXISTS (SELECT FROM repeated)
        AND (SELECT brake.held_by IS NULL AND room.is_left FROM brake CROSS JOIN room)
    ORDER BY s.slot
    FOR UPDATE OF s SKIP LOCKED
    LIMIT 1
),
-- What is held and no hold holds any more goes first, in the order of its paths: below each prefix that has a priority, and
-- overall. Rows are looked up one after the other; behind one that is still held all that its hold holds is passed over at
-- once, so what this costs grows with the prefixes that hold something and not with the rows. No character of a path comes
-- before the exclamation mark or after the tilde, and the nought follows the slash.
ranges AS MATERIALIZED (
    SELECT '' AS low, '~' AS high, NULL::integer AS priority, 50 AS most
    UNION ALL
    SELECT of_prefix.low, of_prefix.high, h.priority, 20
    FROM (
        -- No more than that are looked at, so a claim's time is bounded.
        SELECT prefix, priority FROM migration_holds WHERE priority IS NOT NULL AND prefix <> ''
        ORDER BY priority DESC, prefix LIMIT 10
    ) AS h
    CROSS JOIN LATERAL (
        VALUES (h.prefix, h.prefix || '!'), (h.prefix || '/', h.prefix || '0')
    ) AS of_prefix (low, high)
),
released AS MATERIALIZED (
    WITH RECURSIVE walk AS (
        SELECT
            ranges.low, ranges.high, ranges.priority, ranges.most, NULL::bigint AS id, NULL::text AS path,
            NULL::integer AS own_priority
        FROM ranges
        WHERE EXISTS (SELECT FROM free_slot)
        UNION ALL
        SELECT
            CASE
                WHEN held.prefix IS NULL OR held.prefix = next.path THEN next.path || '!'
                WHEN held.prefix = '' THEN walk.high
                ELSE held.prefix || '0'
            END,
            walk.high, walk.priority, walk.most - (held.prefix IS NULL)::integer,
            CASE WHEN held.prefix IS NULL THEN next.id END, next.path, next.priority
        FROM walk
        CROSS JOIN LATERAL (
            SELECT c.id, c.path, c.priority FROM container_repositories AS c
            WHERE c.migration_state = 'pre_import_done' AND c.held_since IS NOT NULL
                AND c.path COLLATE "C" >= walk.low AND c.path COLLATE "C" < walk.high
            ORDER BY c.path COLLATE "C"
            LIMIT 1
        ) AS next
        LEFT JOIN LATERAL migration_held_by(next.path) AS held (prefix) ON true
        WHERE walk.most > 0
    )
    SELECT walk.id, walk.path, greatest(walk.own_priority, max(walk.priority)) AS priority FROM walk
    WHERE walk.id IS NOT NULL
    GROUP BY walk.id, walk.path, walk.own_priority
),
shortlist AS MATERIALIZED (
    SELECT
        released.id, true AS is_released, false AS is_aborted, released.priority, released.path,
        NULL::timestamptz AS created_at
    FROM released
    UNION ALL
    (
        SELECT c.id, false, c.migration_state = 'import_aborted', c.priority, NULL, c.created_at
        FROM container_repositories AS c
        WHERE EXISTS (SELECT FROM free_slot)
            AND (SELECT target_plans = '{}' FROM settings)
            AND c.migration_state IN ('default', 'import_aborted') AND c.not_before IS NULL
            AND c.created_at < (SELECT coalesce(created_before, 'infinity') FROM settings)
            AND c.root_namespace NOT IN (SELECT unnest(denied_root_namespaces) FROM settings)
            AND (c.migration_state = 'import_aborted' OR c.tags_count IS NULL
                OR c.tags_count <= (SELECT coalesce(nullif(max_tags_count, 0), 2147483647) FROM settings))
        ORDER BY (c.migration_state = 'import_aborted') DESC, c.priority DESC, c.created_at, c.id
        LIMIT 200
    )
    UNION ALL
    (
        SELECT of_plan.id, false, of_plan.migration_state = 'import_aborted', of_plan.priority, NULL, of_plan.created_at
        FROM unnest((SELECT target_plans FROM settings)) AS target (plan)
        CROSS JOIN LATERAL (
            SELECT c.id, c.migration_state, c.priority, c.created_at FROM container_repositories AS c
            WHERE EXISTS (SELECT FROM free_slot)
                AND c.plan = target.plan
                AND c.migration_state IN ('default', 'import_aborted') AND c.not_before IS NULL
                AND c.created_at < (SELECT coalesce(created_before, 'infinity') FROM settings)
                AND c.root_namespace NOT IN (SELECT unnest(denied_root_namespaces) FROM settings)
                AND (c.migration_state = 'import_aborted' OR c.tags_count IS NULL
                    OR c.tags_count <= (SELECT coalesce(nullif(max_tags_count, 0), 2147483647) FROM settings))
            ORDER BY (c.migration_state = 'import_aborted') DESC, c.priority DESC, c.created_at, c.id
            -- Of many plans a few rows each are enough.
            LIMIT (SELECT greatest(20, 200 / greatest(cardinality(target_plans), 1)) FROM settings)
        ) AS of_plan
        ORDER BY (of_plan.migration_state = 'import_aborted') DESC, of_plan.priority DESC, of_plan.created_at,
            of_plan.id
        LIMIT 200
    )
    UNION ALL
    -- What a prefix raises, of each state the first by path.
    (
        SELECT
            of_range.id, false, wanted.state = 'import_aborted', greatest(of_range.priority, ranges.priority), NULL,
            of_range.created_at
        FROM ranges
        CROSS JOIN unnest(ARRAY['default', 'import_aborted']) AS wanted (state)
        CROSS JOIN LATERAL (
            SELECT c.id, c.priority, c.created_at FROM container_repositories AS c
            WHERE EXISTS (SELECT FROM free_slot)
                AND c.migration_state = wanted.state
                AND c.path COLLATE "C" >= ranges.low AND c.path COLLATE "C" < ranges.high
                AND (c.not_before IS NULL OR c.not_before <= now())
                AND ((SELECT target_plans = '{}' FROM settings)
                    OR c.plan IN (SELECT unnest(target_plans) FROM settings))
                AND c.created_at < (SELECT coalesce(created_before, 'infinity') FROM settings)
                AND c.root_namespace NOT IN (SELECT unnest(denied_root_namespaces) FROM settings)
                AND (c.migration_state = 'import_aborted' OR c.tags_count IS NULL
                    OR c.tags_count <= (SELECT coalesce(nullif(max_tags_count, 0), 2147483647) FROM settings))
            ORDER BY c.path COLLATE "C"
            LIMIT 5
        ) AS of_range
        WHERE ranges.priority IS NOT NULL
    )
    UNION ALL
    (
        SELECT c.id, false, c.migration_state = 'import_aborted', c.priority, NULL, c.created_at
        FROM container_repositories AS c
        WHERE EXISTS (SELECT FROM free_slot)
            AND c.migration_state IN ('default', 'import_aborted') AND c.not_before <= now()
            AND ((SELECT target_plans = '{}' FROM settings)
                OR c.plan IN (SELECT unnest(target_plans) FROM settings))
            AND c.created_at < (SELECT coalesce(created_before, 'infinity') FROM settings)
            AND c.root_namespace NOT IN (SELECT unnest(denied_root_namespaces) FROM settings)
            AND (c.migration_state = 'import_aborted' OR c.tags_count IS NULL
                OR c.tags_count <= (SELECT coalesce(nullif(max_tags_count, 0), 2147483647) FROM settings))
        ORDER BY c.not_before
        LIMIT 200
    )
),
-- The rows themselves are looked up one after the other: mostly the first is it.
candidate AS MATERIALIZED (
    SELECT c.* FROM (
        SELECT * FROM shortlist
        ORDER BY is_released DESC, is_aborted DESC, priority DESC, path COLLATE "C", created_at, id
    ) AS next
    CROSS JOIN LATERAL (
        SELECT * FROM container_repositories AS c
        WHERE c.id = next.id
            AND CASE WHEN next.is_released THEN c.migration_state = 'pre_import_done' AND c.held_since IS NOT NULL
                ELSE c.migration_state IN ('default', 'import_aborted')
                    AND (c.not_before IS NULL OR c.not_before <= now()) END
        FOR UPDATE SKIP LOCKED
    ) AS c
    LIMIT 1
),
chosen AS MATERIALIZED (
    SELECT
        candidate.*, free_slot.slot AS free_slot, brake.by_turns OR room.by_turns AS by_turns,
        coalesce(
            -- It was aborted in its final step, which waits: it begins with the pre step.
            CASE WHEN entry -> 'when_held' IS NOT NULL AND EXISTS (
                SELECT FROM migration_held_by(candidate.path)
            ) THEN entry -> 'when_held' END,
            -- It was held for long: what users have pushed meanwhile is copied while they still push.
            CASE WHEN settings.repeat_pre_import_after_seconds > 0
                AND least(candidate.held_since, candidate.pre_import_done_at)
                    <= now() - settings.repeat_pre_import_after_seconds * interval '1 second'
            THEN entry -> 'when_old' END,
            entry -> 'otherwise'
        ) AS outcome
    FROM candidate
    CROSS JOIN free_slot
    CROSS JOIN settings
    CROSS JOIN brake
    CROSS JOIN room
    CROSS JOIN LATERAL (
        SELECT :plan::jsonb -> concat_ws(
            '/', candidate.migration_state, candidate.aborted_in_state,
            CASE WHEN candidate.migration_state = 'pre_import_done' THEN 'held' END
        ) AS entry
    ) AS entries
),
