-- Leases those of the hinted rows that really are due, for 15 seconds. Any number of guards may run at once: a row is
-- leased to one of them, and to the same one again as often as it asks. That is no change of the row: its version, which
-- callers compare with what they have seen, stays.
WITH settings AS MATERIALIZED (
    SELECT
        enabled, max_step_duration_seconds, pre_import_timeout_seconds, import_timeout_seconds,
        pre_import_seconds_per_tag
    FROM migration_settings
    LIMIT 1
),
due AS MATERIALIZED (
    SELECT c.id
    FROM container_repositories AS c
    CROSS JOIN settings
    WHERE c.path = ANY (ARRAY(SELECT jsonb_array_elements_text(:paths::jsonb)))
        AND c.migration_state IN ('pre_importing', 'pre_import_done', 'importing')
        AND (c.lease IS NULL OR c.lease = :lease::uuid OR c.leased_until <= now())
    -- Never looked at: due at once.
    AND coalesce(c.next_check_at, '-infinity') <= now()
    -- Parked: it may go on once its wait is over, unless the kill switch is off.
    AND (c.migration_state <> 'pre_import_done'
        OR settings.enabled AND (c.not_before IS NULL OR c.not_before <= now()))
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
