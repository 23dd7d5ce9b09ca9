    ORDER BY c.id
    FOR UPDATE OF c SKIP LOCKED
),
leased AS (
    UPDATE container_repositories AS c SET
        lease = :lease::uuid,
        leased_until = now() + interval '15 seconds'
    FROM due
    WHERE c.id = due.id
    RETURNING c.*
)
SELECT jsonb_build_object(
    'row', to_jsonb(leased),
    'settings', to_jsonb(settings),
    'now', now(),
    -- Its final step is.
    'is_held', EXISTS (SELECT FROM migration_held_by(leased.path)),
    'asked_again_at', asked.at,
    'asked_again', asked.accepted,
    'earlier_attempt', EXISTS (
        -- Other than those that the registry surely did not run.
        SELECT FROM migration_transitions AS t
        WHERE t.repository_id = leased.id AND t.applied AND t.attempt IS DISTINCT FROM leased.attempt
            AND t.attempt IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM migration_transitions AS r
                WHERE r.repository_id = leased.id AND r.attempt = t.attempt AND r.event = 'start_refused'
            )
    ) OR EXISTS (
        -- Or one of a former row with the same path, whose end was reported to this one.
        SELECT FROM migration_transitions AS t
        WHERE t.repository_id = leased.id AND t.attempt = leased.attempt AND t.verdict = 'unverified'
            AND t.reported_attempt <> leased.attempt
    )
)::text
FROM leased
CROSS JOIN settings
-- Aggregated per row, by index: a mere EXISTS is planned as one scan of the whole history.
CROSS JOIN LATERAL (
    SELECT max(t.created_at) AS at, coalesce(bool_or(t.verdict = 'accepted'), false) AS accepted
    FROM migration_transitions AS t
    WHERE t.repository_id = leased.id AND t.attempt = leased.attempt AND t.event = 'ask_again'
) AS asked
ORDER BY coalesce(leased.next_check_at, '-infinity'), leased.id
