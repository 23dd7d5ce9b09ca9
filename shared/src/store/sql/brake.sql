-- Begins every statement that may start something: with the settings, and with what holds starts back.
--
-- Most of the time nothing does; then this is read, and nothing else is done. Where only one start may be let through
-- (`by_turns`) it is the one that finds the brake's turn as it was read here.
WITH settings AS MATERIALIZED (
    SELECT * FROM migration_settings LIMIT 1
),
brake AS MATERIALIZED (
    SELECT
        coalesce(b.turn, 0) AS turn,
        CASE
            WHEN b.stopped_until > now() THEN 'registry_stopped'
            WHEN breaker.is_open AND b.next_start_at > now() THEN 'breaker_open'
            WHEN b.full_until > now() THEN 'registry_full'
        END AS held_by,
        greatest(b.stopped_until, CASE WHEN breaker.is_open THEN b.next_start_at END, b.full_until) AS held_until,
        coalesce(breaker.is_open OR (b.full_until <= now() AND NOT b.full_tried), false) AS by_turns,
        coalesce(b.stopped_until > now(), false) AS is_stopped,
        CASE WHEN breaker.is_open THEN b.opened_at END AS opened_at,
        coalesce(b.failures, '{}') AS failures,
        coalesce(b.full_until > now() OR (b.full_until IS NOT NULL AND NOT b.full_tried), false) AS is_full
    FROM settings
    LEFT JOIN (SELECT * FROM migration_brake LIMIT 1) AS b ON true
    CROSS JOIN LATERAL (
        SELECT b.opened_at IS NOT NULL AND settings.circuit_breaker_failures > 0 AS is_open
    ) AS breaker
),
