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
