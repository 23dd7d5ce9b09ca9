-- How far the reader may be behind: where it lacks a mark that is older than this, the writer is asked. 0: no bound.
-- Marks are written each minute, so less than that could not be told; how old they are is kept for an hour.
ALTER TABLE migration_settings ADD COLUMN reader_lag_bound_seconds integer NOT NULL DEFAULT 60;

ALTER TABLE migration_settings ADD CONSTRAINT reader_lag_bound_can_be_told CHECK (
    reader_lag_bound_seconds = 0 OR reader_lag_bound_seconds BETWEEN 60 AND 3600
);

-- When marks were written, by the clock of the one server that says how old they are. No reader needs it.
CREATE TABLE replica_mark_times (
    mark bigint PRIMARY KEY,
    marked_at timestamptz NOT NULL
);

GRANT SELECT, INSERT, DELETE ON replica_mark_times TO migration_driver;

GRANT SELECT ON replica_mark_times TO migration_reader;
