-- What is held, by path: all below a prefix that still holds it is passed over at once.
CREATE INDEX CONCURRENTLY container_repositories_held ON public.container_repositories (path COLLATE "C", held_since)
WHERE migration_state = 'pre_import_done' AND held_since IS NOT NULL;
