-- How long a repository that failed by itself waits for its first retry. Further ones wait longer.
ALTER TABLE migration_settings ADD COLUMN retry_backoff_seconds integer NOT NULL DEFAULT 30;

ALTER TABLE migration_settings ADD CONSTRAINT retry_backoff_is_within_an_hour CHECK (
    retry_backoff_seconds BETWEEN 0 AND 3600
) NOT VALID;

ALTER TABLE migration_settings VALIDATE CONSTRAINT retry_backoff_is_within_an_hour;
