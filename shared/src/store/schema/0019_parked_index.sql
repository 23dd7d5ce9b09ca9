-- What is parked in its slot: however many are held, who lets it go on passes over none of them.
CREATE INDEX CONCURRENTLY container_repositories_parked ON public.container_repositories (not_before NULLS FIRST, id)
WHERE migration_state = 'pre_import_done' AND held_since IS NULL;
