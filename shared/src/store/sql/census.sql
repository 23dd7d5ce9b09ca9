-- How everything stands at one moment. Rows are counted in indexes; those in progress, which are few, are
-- looked at.
states AS MATERIALIZED (
    SELECT migration_state, count(*) AS count, min(state_since) AS since
    FROM container_repositories
    GROUP BY migration_state
),
stuck AS MATERIALIZED (
    SELECT count(*) AS count, min(late.since) AS since
    FROM settings
    CROSS JOIN LATERAL (
        SELECT CASE c.migration_state
            WHEN 'pre_importing' THEN c.pre_import_started_at
            WHEN 'importing' THEN c.import_started_at
            -- Parked: late from when it may go on.
            WHEN 'pre_import_done' THEN CASE WHEN settings.enabled AND c.held_since IS NULL THEN greatest(
                c.pre_import_done_at, c.not_before,
                (SELECT max(created_at) FROM migration_settings_changes WHERE changes -> 'enabled' = 'true')
            ) END
        END AS since
        FROM container_repositories AS c
        -- However many are held, they are not looked at.
        WHERE c.migration_state IN ('pre_importing', 'importing')
            OR c.migration_state = 'pre_import_done' AND c.held_since IS NULL
    ) AS late
    WHERE late.since < now() - settings.max_step_duration_seconds * interval '1 second'
),
-- Of what is held, as the holds say it now; below one that holds, no other one is asked.
held AS MATERIALIZED (
    SELECT waiting.count, waiting.since, coalesce(still.count, 0) AS still, coalesce(still.left_over, 0) AS left_over
    FROM (
        SELECT count(*) AS count, min(held_since) AS since FROM container_repositories
        WHERE migration_state = 'pre_import_done' AND held_since IS NOT NULL
    ) AS waiting
    CROSS JOIN LATERAL (
        SELECT sum(of_hold.count) AS count, sum(of_hold.left_over) AS left_over
        -- As many as there may be, and the planner knows that.
        FROM (SELECT * FROM migration_holds LIMIT 400) AS h
        CROSS JOIN LATERAL migration_held_by(h.prefix) AS topmost (prefix)
        LEFT JOIN LATERAL migration_window(h.opens, h.closes, h.zone) AS clock ON NOT h.is_until_released
        CROSS JOIN LATERAL (
            SELECT count(*) AS count, count(*) FILTER (WHERE c.held_since < clock.closed_at) AS left_over
            FROM container_repositories AS c
            WHERE c.migration_state = 'pre_import_done' AND c.held_since IS NOT NULL
                AND c.path COLLATE "C" >= h.prefix || CASE h.prefix WHEN '' THEN '' ELSE '/' END
                AND c.path COLLATE "C" < h.prefix || CASE h.prefix WHEN '' THEN '~' ELSE '0' END
            UNION ALL
            SELECT count(*), count(*) FILTER (WHERE c.held_since < clock.closed_at)
            FROM container_repositories AS c
            WHERE c.migration_state = 'pre_import_done' AND c.held_since IS NOT NULL
                AND c.path COLLATE "C" = h.prefix
        ) AS of_hold
        WHERE topmost.prefix = h.prefix AND waiting.count > 0
    ) AS still
),
recent AS MATERIALIZED (
    SELECT
        count(*) FILTER (WHERE created_at > now() - interval '1 minute') AS last_minute,
        count(*) FILTER (
            WHERE from_state IN ('pre_importing', 'pre_import_done', 'importing')
                AND to_state IN ('import_done', 'import_skipped')
        ) AS ended,
        extract(epoch FROM now() - min(created_at)) AS seconds
    FROM migration_transitions
    WHERE applied AND created_at > now() - interval '1 hour'
),
remaining AS MATERIALIZED (
    SELECT
        coalesce((
            SELECT sum(count) FROM states WHERE migration_state NOT IN ('import_done', 'import_skipped')
        ), 0) - CASE
            WHEN created_before IS NULL AND target_plans = '{}' AND denied_root_namespaces = '{}' THEN 0
            -- What the settings leave out is not going to be migrated.
            ELSE (
                SELECT count(*) FROM container_repositories AS c
                WHERE c.migration_state IN ('default', 'import_aborted') AND (
                    c.created_at < coalesce(settings.created_before, 'infinity')
                    AND ((SELECT target_plans = '{}' FROM settings) OR c.plan IN (SELECT unnest(target_plans) FROM settings))
                    AND c.root_namespace NOT IN (SELECT unnest(denied_root_namespaces) FROM settings)
                ) IS NOT TRUE
            )
        END AS count
    FROM settings
)
SELECT jsonb_build_object(
    'at', now(),
    'enabled', settings.enabled,
    'brake', jsonb_build_object(
        -- The circuit breaker holds starts back also while it lets one through.
        'held_by', coalesce(brake.held_by, CASE WHEN brake.opened_at IS NOT NULL THEN 'breaker_open' END),
        'until', CASE WHEN brake.held_by IS NOT NULL THEN brake.held_until END,
        'breaker_open_since', brake.opened_at,
        'failures_in_a_row', (SELECT count(*) FROM jsonb_object_keys(brake.failures))
    ),
    'states', (
        SELECT coalesce(jsonb_object_agg(migration_state, jsonb_build_object(
            'count', count, 'oldest_seconds', extract(epoch FROM now() - since)
        )), '{}') FROM states
    ),
    'slots', jsonb_build_object(
        'used', (SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL),
        'capacity', settings.capacity
    ),
    'held', jsonb_build_object(
        'count', held.count,
        'oldest_seconds', extract(epoch FROM now() - held.since),
        'released', held.count - held.still,
        'left_over', held.left_over
    ),
    'retries', (
        SELECT jsonb_build_object('repositories', count(*), 'counted', coalesce(sum(retries_count), 0))
        FROM container_repositories WHERE retries_count > 0
    ),
    'skips', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(skipped_reason, count)), '[]') FROM (
            SELECT skipped_reason, count(*) AS count FROM container_repositories
            WHERE migration_state = 'import_skipped' AND skipped_reason IS NOT NULL
            GROUP BY skipped_reason
        ) AS by_reason
    ),
    'tags', jsonb_build_object(
        'missing', (SELECT count(*) FROM container_repositories WHERE tags_check = 'tags_missing'),
        'unverified', (SELECT count(*) FROM container_repositories WHERE tags_check = 'tags_unverified'),
        'sample', (
            SELECT coalesce(jsonb_agg(path ORDER BY path COLLATE "C"), '[]') FROM (
                SELECT path FROM container_repositories WHERE tags_check = 'tags_missing'
                ORDER BY path COLLATE "C" LIMIT 20
            ) AS first
        )
    ),
    'stuck', jsonb_build_object('count', stuck.count, 'oldest_seconds', extract(epoch FROM now() - stuck.since)),
    'transitions_per_minute', recent.last_minute,
    'ended_in_the_last_hour', recent.ended,
    'left', remaining.count,
    -- At the pace of the last hour, or since the first transition in it.
    'seconds_left', CASE
        WHEN remaining.count = 0 THEN 0
        ELSE remaining.count * recent.seconds / nullif(recent.ended, 0)
    END
)::text
FROM settings
CROSS JOIN brake
CROSS JOIN stuck
CROSS JOIN held
CROSS JOIN recent
CROSS JOIN remaining
