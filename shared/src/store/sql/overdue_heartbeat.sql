-- The newest heartbeat that is older than the bound: a reader without it is past the bound. Only the writer's clock is
-- looked at. None where no heartbeat has come to that age. Where operators set no bound, the guard's hints still have
-- one: it must find what is stuck on a reader that stands still.
overdue AS MATERIALIZED (
    SELECT settings.reader_enabled, settings.reader_lag_bound_seconds > 0 AS lag_is_bounded, (
        SELECT max(times.mark)
        FROM replica_mark_times AS times
        WHERE times.marked_at
            <= now() - coalesce(nullif(settings.reader_lag_bound_seconds, 0), 60) * interval '1 second'
    ) AS heartbeat
    FROM migration_settings AS settings
)
