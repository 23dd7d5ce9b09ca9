SELECT jsonb_build_object(
    'heartbeat', written.mark,
    'overdue_heartbeat', CASE WHEN overdue.lag_is_bounded THEN overdue.heartbeat END
)::text
FROM written
CROSS JOIN overdue
