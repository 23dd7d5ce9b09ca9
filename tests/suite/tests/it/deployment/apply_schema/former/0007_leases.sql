-- Which guard looks at a row, and until when nobody else does. No change of the row, so outside its version.
ALTER TABLE container_repositories ADD COLUMN lease uuid;

ALTER TABLE container_repositories ADD COLUMN leased_until timestamptz;

-- What is to be looked at next. No longer than there are slots.
CREATE INDEX container_repositories_next_check ON container_repositories (coalesce(next_check_at, '-infinity'))
WHERE migration_state IN ('pre_importing', 'pre_import_done', 'importing');
