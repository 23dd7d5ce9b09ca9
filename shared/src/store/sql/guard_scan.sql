-- Which rows seem stuck, as the reader has it: only a hint, since each is taken on the writer under the same
-- condition. Those never looked at come first, then those not looked at for the longest.
SELECT to_jsonb(c.path)::text
FROM container_repositories AS c
CROSS JOIN migration_settings AS settings
WHERE c.migration_state IN ('pre_importing', 'pre_import_done', 'importing')
