-- What is absent from the change stays. A change that changes nothing makes no version.
WITH before AS MATERIALIZED (
    SELECT * FROM migration_settings FOR UPDATE
),
wanted AS MATERIALIZED (
    -- The members that differ; a row's document is compared member by member.
    SELECT coalesce(jsonb_object_agg(given.key, given.value), '{}') AS changes
    FROM before
    CROSS JOIN LATERAL jsonb_each(:changes::jsonb) AS given (key, value)
    WHERE CASE given.key
        WHEN 'created_before' THEN before.created_before IS DISTINCT FROM (given.value #>> '{}')::timestamptz
        ELSE to_jsonb(before) -> given.key IS DISTINCT FROM given.value
    END
),
decided AS MATERIALIZED (
    SELECT
        before.id,
        wanted.changes,
        CASE
            WHEN :version::bigint IS NOT NULL AND before.version <> :version::bigint THEN 'conflict'
            WHEN wanted.changes = '{}' THEN 'unchanged'
            ELSE 'changed'
        END AS verdict
    FROM before
    CROSS JOIN wanted
),
changed AS (
    UPDATE migration_settings AS s SET
        version = s.version + 1,
        enabled = coalesce((d.changes ->> 'enabled')::boolean, s.enabled),
        reader_enabled = coalesce((d.changes ->> 'reader_enabled')::boolean, s.reader_enabled),
        reader_lag_bound_seconds
            = coalesce((d.changes ->> 'reader_lag_bound_seconds')::integer, s.reader_lag_bound_seconds),
        verify_tags = coalesce((d.changes ->> 'verify_tags')::boolean, s.verify_tags),
        capacity = coalesce((d.changes ->> 'capacity')::integer, s.capacity),
        waiting_time_seconds = coalesce((d.changes ->> 'waiting_time_seconds')::integer, s.waiting_time_seconds),
        max_tags_count = coalesce((d.changes ->> 'max_tags_count')::integer, s.max_tags_count),
        max_retries = coalesce((d.changes ->> 'max_retries')::integer, s.max_retries),
        circuit_breaker_failures
            = coalesce((d.changes ->> 'circuit_breaker_failures')::integer, s.circuit_breaker_failures),
        retry_backoff_seconds = coalesce((d.changes ->> 'retry_backoff_seconds')::integer, s.retry_backoff_seconds),
        repeat_pre_import_after_seconds = coalesce(
            (d.changes ->> 'repeat_pre_import_after_seconds')::integer, s.repeat_pre_import_after_seconds
        ),
        max_step_duration_seconds
            = coalesce((d.changes ->> 'max_step_duration_seconds')::integer, s.max_step_duration_seconds),
        pre_import_timeout_seconds
            = coalesce((d.changes ->> 'pre_import_timeout_seconds')::integer, s.pre_import_timeout_seconds),
        import_timeout_seconds
            = coalesce((d.changes ->> 'import_timeout_seconds')::integer, s.import_timeout_seconds),
        pre_import_seconds_per_tag
            = coalesce((d.changes ->> 'pre_import_seconds_per_tag')::double precision, s.pre_import_seconds_per_tag),
        created_before = CASE
            WHEN d.changes -> 'created_before' IS NULL THEN s.created_before
            ELSE (d.changes ->> 'created_before')::timestamptz
        END,
        target_plans = CASE
            WHEN d.changes -> 'target_plans' IS NULL THEN s.target_plans
            ELSE ARRAY(SELECT jsonb_array_elements_text(d.changes -> 'target_plans'))
        END,
        denied_root_namespaces = CASE
            WHEN d.changes -> 'denied_root_namespaces' IS NULL THEN s.denied_root_namespaces
            ELSE ARRAY(SELECT jsonb_array_elements_text(d.changes -> 'denied_root_namespaces'))
        END
    FROM decided AS d
    WHERE s.id = d.id AND d.verdict = 'changed'
    RETURNING s.*
),
kept AS (
    INSERT INTO migration_settings_changes (version, changes, operator)
    SELECT changed.version, decided.changes, :operator::text FROM changed CROSS JOIN decided
)
SELECT jsonb_build_object(
    'verdict', decided.verdict,
    'settings', coalesce(to_jsonb(changed), to_jsonb(before))
)::text
FROM decided
JOIN before ON before.id = decided.id
LEFT JOIN changed ON true
