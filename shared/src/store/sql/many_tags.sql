-- Rows that would be started next if they had not more tags than the settings allow. Those that the settings
-- leave out stay as they are.
WITH picked AS MATERIALIZED (
    SELECT c.* FROM container_repositories AS c
    WHERE c.migration_state = 'default'
        AND (SELECT enabled AND max_tags_count > 0 FROM migration_settings)
        AND c.tags_count > (SELECT max_tags_count FROM migration_settings)
        AND c.created_at < (SELECT coalesce(created_before, 'infinity') FROM migration_settings)
        AND ((SELECT target_plans = '{}' FROM migration_settings)
            OR c.plan IN (SELECT unnest(target_plans) FROM migration_settings))
        AND c.root_namespace NOT IN (SELECT unnest(denied_root_namespaces) FROM migration_settings)
    FOR UPDATE OF c SKIP LOCKED
    LIMIT 500
),
