-- What it takes to see how everything stands, without fetching a row of those that are only counted.

-- When the row came into its state: a step that is begun again leaves it in the state it has been in.
ALTER TABLE container_repositories ADD COLUMN state_since timestamptz NOT NULL DEFAULT now();

UPDATE container_repositories SET state_since = CASE migration_state
    WHEN 'pre_importing' THEN pre_import_started_at
    WHEN 'pre_import_done' THEN pre_import_done_at
    WHEN 'importing' THEN import_started_at
    WHEN 'import_done' THEN import_done_at
    WHEN 'import_aborted' THEN aborted_at
    WHEN 'import_skipped' THEN skipped_at
    ELSE created_at
END;

-- A state's rows by path, byte by byte, so that two servers with two collations page in one order. Rows too
-- young for a filter are passed over in the index.
DROP INDEX container_repositories_by_state;

CREATE INDEX container_repositories_by_state ON container_repositories (
    migration_state, path COLLATE "C", state_since
);

-- What is counted: a state's rows and the oldest of them, the reasons for skips, the retries.
CREATE INDEX container_repositories_by_age ON container_repositories (migration_state, state_since);

CREATE INDEX container_repositories_by_reason ON container_repositories (migration_state, skipped_reason)
WHERE skipped_reason IS NOT NULL;

CREATE INDEX container_repositories_retried ON container_repositories (retries_count) WHERE retries_count > 0;

-- The history is appended to in the order of time, so a page range's first and last time find what is recent,
-- and a transition writes nothing more than it did.
CREATE INDEX migration_transitions_by_time ON migration_transitions USING brin (created_at)
WITH (pages_per_range = 32, autosummarize = on);
