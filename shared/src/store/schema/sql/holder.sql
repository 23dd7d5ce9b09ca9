-- Whom a process waits for: of several the one that does not wait itself, or else the oldest. What a session does, some
-- roles are not shown of others.
SELECT concat_ws(
    ', ',
    'process ' || pid,
    'user ' || usename,
    'application ' || nullif(application_name, ''),
    coalesce(state, 'state not shown to this role')
        || coalesce(to_char(xact_start AT TIME ZONE 'UTC', '" since "YYYY-MM-DD"T"HH24:MI:SS"Z"'), '')
)
FROM pg_stat_activity
WHERE pid = ANY (pg_blocking_pids(:pid::integer))
ORDER BY coalesce(wait_event_type = 'Lock', false), xact_start NULLS LAST
LIMIT 1
