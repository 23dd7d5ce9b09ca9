SELECT jsonb_build_object(
    'identity', itself.identity,
    'reader_enabled', overdue.reader_enabled,
    'lag_is_bounded', overdue.lag_is_bounded,
    'overdue_heartbeat', overdue.heartbeat
)::text
FROM itself
CROSS JOIN overdue
