    FOR UPDATE OF c SKIP LOCKED
),
taken AS (
    UPDATE container_repositories AS c SET
        -- A registry that gives no answer, or a guard that dies, costs a row this much time.
        next_check_at = now() + least(settings.max_step_duration_seconds, 60) * interval '1 second'
    FROM due
    CROSS JOIN settings
    WHERE c.id = due.id
    RETURNING c.*
)
SELECT jsonb_build_object(
    'row', to_jsonb(taken),
    'settings', to_jsonb(settings),
    'now', now(),
    'asked_again_at', asked.at,
    'asked_again', asked.accepted,
    'earlier_attempt', EXISTS (
        -- Other than those that the registry surely did not run.
        SELECT FROM migration_transitions AS t
        WHERE t.repository_id = taken.id AND t.applied AND t.attempt IS DISTINCT FROM taken.attempt
            AND t.attempt IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM migration_transitions AS r
                WHERE r.repository_id = taken.id AND r.attempt = t.attempt AND r.event = 'start_refused'
            )
    )
)::text
FROM taken
CROSS JOIN settings
-- Aggregated per row, by index: a mere EXISTS is planned as one scan of the whole history.
CROSS JOIN LATERAL (
    SELECT max(t.created_at) AS at, coalesce(bool_or(t.verdict = 'accepted'), false) AS accepted
    FROM migration_transitions AS t
    WHERE t.repository_id = taken.id AND t.attempt = taken.attempt AND t.event = 'ask_again'
) AS asked
ORDER BY taken.id
