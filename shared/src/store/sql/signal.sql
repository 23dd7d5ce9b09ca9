-- What a change shows of the registry as a whole goes to the brake, which is locked last: after the row and the slot. It is
-- written only where it is not so already.
signal AS MATERIALIZED (
    SELECT
        decided.id,
        decided.step_begun_at,
        what.name = 'stopping' AS stops,
        what.name = 'failed' AND settings.circuit_breaker_failures > 0 AND brake.opened_at IS NULL AS fails,
        what.name = 'succeeded' AND CASE
            -- A step that was begun before a failure says nothing of what came after: it may have been past the trouble.
            WHEN brake.opened_at IS NULL THEN EXISTS (
                SELECT FROM jsonb_each_text(brake.failures) AS failure
                WHERE failure.value::timestamptz < decided.step_begun_at
            )
            ELSE decided.step_begun_at >= brake.opened_at
        END AS succeeds,
        -- Nobody here has asked for it.
        what.name IN ('canceled', 'stopping') AND NOT brake.is_stopped AND NOT EXISTS (
            SELECT FROM migration_transitions AS t
            WHERE t.repository_id = decided.id AND t.version = decided.version AND t.event = 'cancel'
        ) AS cancels,
        what.name = 'full' AS fills,
        -- A step has ended, and with it an import of the registry's.
        brake.is_full AND what.event <> 'start_refused' AND (changed.slot IS NULL OR what.name = 'succeeded') AS empties
    FROM decided
    JOIN changed ON changed.id = decided.id
    CROSS JOIN settings
    CROSS JOIN brake
    CROSS JOIN (SELECT count(*) FROM freed) AS after_the_slot
    CROSS JOIN LATERAL (
        SELECT
            coalesce(decided.outcome ->> 'signal', '') AS name,
            decided.outcome -> 'steps' -> -1 ->> 'event' AS event
    ) AS what
),
braked AS (
    INSERT INTO migration_brake AS b (
        turn, failures, opened_at, next_start_at, canceled_at, canceled_repository_id, stopped_until, full_until
    )
    SELECT
        1,
        CASE WHEN signal.fails THEN jsonb_build_object(signal.id, now()) ELSE '{}' END,
        CASE WHEN signal.fails AND settings.circuit_breaker_failures = 1 THEN now() END,
        CASE WHEN signal.fails AND settings.circuit_breaker_failures = 1 THEN now() + interval '15 seconds' END,
        CASE WHEN signal.cancels THEN now() END,
        CASE WHEN signal.cancels THEN signal.id END,
        CASE WHEN signal.cancels AND signal.stops THEN now() + interval '20 seconds' END,
        CASE WHEN signal.fills THEN now() + interval '30 seconds' END
    FROM signal
    CROSS JOIN settings
    WHERE signal.fails OR signal.succeeds OR signal.cancels OR signal.fills OR signal.empties
    ON CONFLICT (id) DO UPDATE SET
        turn = b.turn + 1,
        (failures, opened_at, next_start_at) = (
            SELECT
                CASE WHEN closes.it THEN '{}' WHEN signal.fails OR signal.succeeds THEN in_a_row.failures ELSE b.failures END,
                CASE WHEN closes.it THEN NULL WHEN opens.it THEN now() ELSE b.opened_at END,
                CASE
                    WHEN closes.it THEN NULL
                    WHEN opens.it THEN now() + interval '15 seconds'
                    ELSE b.next_start_at
                END
            FROM signal
            CROSS JOIN settings
            CROSS JOIN LATERAL (
                SELECT coalesce(jsonb_object_agg(failure.key, failure.value), '{}') AS failures, count(*) AS count
                FROM jsonb_each(b.failures || EXCLUDED.failures) AS failure
                CROSS JOIN LATERAL (SELECT (failure.value #>> '{}')::timestamptz AS at) AS failed
                WHERE failed.at > now() - interval '1 minute'
                    AND (signal.succeeds AND failed.at < signal.step_begun_at) IS NOT TRUE
            ) AS in_a_row
            CROSS JOIN LATERAL (
                SELECT signal.fails AND b.opened_at IS NULL AND in_a_row.count >= settings.circuit_breaker_failures AS it
            ) AS opens
            CROSS JOIN LATERAL (
                SELECT signal.succeeds AND b.opened_at IS NOT NULL AND signal.step_begun_at >= b.opened_at AS it
            ) AS closes
        ),
        -- Two repositories that tell of a cancelation within ten seconds tell of a stop, and so does one in the words of
        -- a stop. It is counted from the first, and later ones do not prolong it.
        (canceled_at, canceled_repository_id, stopped_until) = (
            SELECT
                CASE WHEN signal.cancels THEN now() ELSE b.canceled_at END,
                CASE WHEN signal.cancels THEN signal.id ELSE b.canceled_repository_id END,
                CASE
                    WHEN NOT signal.cancels OR b.stopped_until > now() THEN b.stopped_until
                    WHEN signal.stops THEN now() + interval '20 seconds'
                    WHEN b.canceled_repository_id <> signal.id AND b.canceled_at > now() - interval '10 seconds'
                        THEN b.canceled_at + interval '20 seconds'
                    ELSE b.stopped_until
                END
            FROM signal
        ),
        (full_until, full_tried) = (
            SELECT
                CASE
                    WHEN signal.fills THEN now() + interval '30 seconds'
                    WHEN signal.empties THEN NULL
                    ELSE b.full_until
                END,
                b.full_tried AND NOT signal.fills AND NOT signal.empties
            FROM signal
        )
)
