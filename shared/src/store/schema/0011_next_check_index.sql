-- What is to be looked at next. No longer than there are slots.
CREATE INDEX CONCURRENTLY container_repositories_next_check ON public.container_repositories (coalesce(next_check_at, '-infinity'))
WHERE migration_state IN ('pre_importing', 'pre_import_done', 'importing');
