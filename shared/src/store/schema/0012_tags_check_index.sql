-- What an operator is to look at: counted, and the first of them by path.
CREATE INDEX CONCURRENTLY container_repositories_by_tags_check ON public.container_repositories (tags_check, path COLLATE "C")
WHERE tags_check IN ('tags_missing', 'tags_unverified');
