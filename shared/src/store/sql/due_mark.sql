-- The newest mark that is older than the bound: a reader without it is past the bound. Only the writer's clock is
-- looked at. None where there is no bound, or where no mark has come to that age.
due AS MATERIALIZED (
    SELECT settings.reader_enabled, (
        SELECT max(times.mark)
        FROM replica_mark_times AS times
        WHERE settings.reader_lag_bound_seconds > 0
            AND times.marked_at <= now() - settings.reader_lag_bound_seconds * interval '1 second'
    ) AS mark
    FROM migration_settings AS settings
)
