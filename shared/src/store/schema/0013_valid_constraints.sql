-- The rows that were there before. A transaction of its own: those that added the constraints would keep everybody from
-- the tables for as long as these take.
ALTER TABLE container_repositories VALIDATE CONSTRAINT tags_check_is_known;

ALTER TABLE container_repositories VALIDATE CONSTRAINT missing_tags_exactly_where_some_are;

ALTER TABLE migration_settings VALIDATE CONSTRAINT circuit_breaker_can_be_reached;

ALTER TABLE migration_settings VALIDATE CONSTRAINT retry_backoff_is_within_an_hour;
