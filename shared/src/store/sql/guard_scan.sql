-- Which rows the guard is to look at, as the reader has it: only a hint, since each is leased on the writer under the same
-- condition. Those that are due for longest come first.
SELECT to_jsonb(c.path)::text
FROM container_repositories AS c
CROSS JOIN (SELECT enabled FROM migration_settings LIMIT 1) AS settings
WHERE c.migration_state IN ('pre_importing', 'pre_import_done', 'importing')
