-- A heartbeat that the reader does not have yet; and the one that it must have by now.
WITH written AS (
    -- Not the statement's time: another one's commit may have been waited for.
    UPDATE replica_mark SET mark = mark + 1, marked_at = clock_timestamp() RETURNING mark, marked_at
),
remembered AS (
    INSERT INTO replica_mark_times (mark, marked_at) SELECT mark, marked_at FROM written
),
-- No bound is longer than an hour: of the heartbeats before that the newest says it all.
forgotten AS (
    DELETE FROM replica_mark_times
    WHERE mark < (
        SELECT max(times.mark) FROM replica_mark_times AS times WHERE times.marked_at <= now() - interval '1 hour'
    )
),
