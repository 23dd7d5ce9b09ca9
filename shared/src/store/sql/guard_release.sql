-- Rows that were taken and not looked at are due again at once.
WITH released AS (
    UPDATE container_repositories AS c SET next_check_at = NULL
    WHERE c.path = ANY (ARRAY(SELECT jsonb_array_elements_text(:paths::jsonb)))
        AND c.migration_state IN ('pre_importing', 'pre_import_done', 'importing')
    RETURNING c.path
)
SELECT to_jsonb(released.path)::text FROM released
