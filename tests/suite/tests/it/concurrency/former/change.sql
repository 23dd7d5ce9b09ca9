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
-- One change of one row: find, check, change, log and report in one statement, so that nothing can happen
-- between reading a state and acting on it.
--
-- What the plan says of the row's situation is all that is known of the transitions here. `before` locks the
-- row by its path alone, so an unknown path and a wrong state stay two answers, and a session that waited for
-- the lock sees what the other one did. The update needs no comparison of versions beyond that lock: it would
-- compare with the statement's snapshot, and a change that had waited would be decided and then not made. For the
-- same reason what a row keeps is taken from the locked row: the row that is updated is checked against the
-- constraints first as it stands in the snapshot.
before AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE path = :path FOR UPDATE
),
planned AS MATERIALIZED (
    SELECT
        before.*,
        settings.retry_backoff_seconds,
        coalesce(
            CASE WHEN NOT settings.enabled OR held.is_held THEN entries.entry -> 'when_disabled' END,
            CASE WHEN before.retries_count + 1 >= settings.max_retries THEN entries.entry -> 'at_retry_limit' END,
            entries.entry -> 'otherwise'
        ) AS outcome,
        held.step_begun_at
    FROM before
    CROSS JOIN settings
    CROSS JOIN LATERAL (
        SELECT :plan::jsonb -> concat_ws(
            '/', before.migration_state, coalesce(before.aborted_in_state, before.resume_state)
        ) AS entry
    ) AS situation
    CROSS JOIN LATERAL (
        -- The guard's last note about the row as it is: that its step is being canceled, past its time.
        SELECT CASE WHEN situation.entry -> 'past_time' IS NOT NULL AND 'cancel' = (
            SELECT t.event FROM migration_transitions AS t
            WHERE t.repository_id = before.id AND t.version = before.version AND t.event IN ('ask_again', 'cancel')
                AND t.cause = 'guard'
            ORDER BY t.id DESC LIMIT 1
        ) THEN situation.entry -> 'past_time' ELSE situation.entry END AS entry
    ) AS entries
    CROSS JOIN LATERAL (
        SELECT CASE before.migration_state
            WHEN 'pre_importing' THEN before.pre_import_started_at
            WHEN 'importing' THEN before.import_started_at
        END AS at
    ) AS begun
    CROSS JOIN LATERAL (
        -- What ends a step may be followed by the next one: a registry that had no room has some then, and a step that
        -- was begun with the circuit breaker open and ends well closes it.
        SELECT begun.at AS step_begun_at, brake.is_stopped OR (
            brake.opened_at IS NOT NULL
            AND (entries.entry -> 'otherwise' ->> 'signal' = 'succeeded' AND begun.at >= brake.opened_at) IS NOT TRUE
        ) AS is_held
        FROM brake
    ) AS held
),
decided AS MATERIALIZED (
    SELECT
        planned.*,
        CASE
            WHEN planned.change = :change::uuid THEN 'repeat'
            -- The driver's own follow-up of one attempt: void once the row has moved on.
            WHEN :precondition = 'attempt' AND planned.attempt IS DISTINCT FROM :attempt::uuid THEN 'superseded'
            WHEN :precondition = 'notification' AND planned.attempt IS DISTINCT FROM :attempt::uuid AND EXISTS (
                SELECT FROM migration_transitions AS t
                WHERE t.repository_id = planned.id AND t.attempt = :attempt::uuid
            ) THEN 'earlier_attempt'
            WHEN :precondition = 'notification' AND planned.attempt = :attempt::uuid
                AND planned.migration_state NOT IN ('pre_importing', 'importing') THEN 'already_over'
            WHEN planned.outcome IS NULL THEN 'refused'
            -- What contradicts the row, or names an attempt that never was the row's, proves nothing by itself.
            WHEN :precondition = 'notification' AND (
                planned.outcome ->> 'needs_proof' = 'true' OR planned.attempt <> :attempt::uuid
            ) THEN 'unverified'
            WHEN planned.outcome -> 'steps' = '[]'::jsonb THEN 'nothing'
            ELSE 'applied'
        END AS verdict
    FROM planned
),
steps AS (
    SELECT
        decided.id,
        decided.version + step.number AS version,
        step.value ->> 'event' AS event,
        coalesce(lag(step.value ->> 'to') OVER (ORDER BY step.number), decided.migration_state) AS from_state,
        step.value ->> 'to' AS to_state
    FROM decided
    CROSS JOIN LATERAL jsonb_array_elements(decided.outcome -> 'steps')
        WITH ORDINALITY AS step (value, number)
    WHERE decided.verdict = 'applied'
),
changed AS (
    UPDATE container_repositories AS c SET
        migration_state = d.outcome -> 'steps' -> -1 ->> 'to',
        state_since = CASE d.migration_state
            WHEN d.outcome -> 'steps' -> -1 ->> 'to' THEN d.state_since ELSE now() END,
        version = d.version + jsonb_array_length(d.outcome -> 'steps'),
        change = :change::uuid,
        attempt = CASE d.outcome ->> 'attempt'
            WHEN 'new' THEN :change::uuid
            WHEN 'clear' THEN NULL
            WHEN 'adopt' THEN CASE WHEN EXISTS (
                -- The guard has asked for this step too, with the attempt that the row has: what runs is its own. Who hears
                -- of it here is the first request, which was so long on its way.
                SELECT FROM migration_transitions AS t
                WHERE t.repository_id = d.id AND t.attempt = d.attempt AND t.event = 'ask_again'
                    AND t.to_state = d.outcome -> 'steps' -> -1 ->> 'to'
            ) THEN d.attempt ELSE (
                -- Whoever asked for this step last, other than the attempt that was told it runs already. What the
                -- registry answered otherwise than with 202 never ran, and what has reported its end runs no more.
                SELECT t.attempt FROM migration_transitions AS t
                WHERE t.repository_id = d.id AND t.applied AND t.attempt IS DISTINCT FROM d.attempt
                    AND t.to_state = d.outcome -> 'steps' -> -1 ->> 'to' AND t.event NOT LIKE 'adopt%'
                    AND NOT EXISTS (
                        SELECT FROM migration_transitions AS r
                        WHERE r.repository_id = d.id AND r.applied AND (
                            r.version = t.version + 1 AND r.cause = 'registry_answer'
                            OR r.attempt = t.attempt AND r.event = 'start_refused'
                            OR r.reported_attempt = t.attempt
                        )
                    )
                ORDER BY t.id DESC LIMIT 1
            ) END
            ELSE d.attempt
        END,
        slot = CASE WHEN (d.outcome ->> 'holds_slot')::boolean THEN d.slot END,
        retries_count = CASE d.outcome ->> 'retries'
            WHEN 'count' THEN d.retries_count + 1
            WHEN 'reset' THEN 0
            ELSE d.retries_count
        END,
        skipped_reason = (d.outcome ->> 'skipped_reason')::smallint,
        aborted_in_state = d.outcome ->> 'aborted_in_state',
        resume_state = d.outcome ->> 'resume_state',
        pre_import_started_at = CASE d.outcome -> 'timestamps' ->> 'pre_import_started_at'
            WHEN 'now' THEN now() WHEN 'clear' THEN NULL ELSE d.pre_import_started_at END,
        pre_import_done_at = CASE d.outcome -> 'timestamps' ->> 'pre_import_done_at'
            WHEN 'now' THEN now() WHEN 'clear' THEN NULL ELSE d.pre_import_done_at END,
        import_started_at = CASE d.outcome -> 'timestamps' ->> 'import_started_at'
            WHEN 'now' THEN now() WHEN 'clear' THEN NULL ELSE d.import_started_at END,
        import_done_at = CASE d.outcome -> 'timestamps' ->> 'import_done_at'
            WHEN 'now' THEN now() WHEN 'clear' THEN NULL ELSE d.import_done_at END,
        aborted_at = CASE d.outcome -> 'timestamps' ->> 'aborted_at'
            WHEN 'now' THEN now() WHEN 'clear' THEN NULL ELSE d.aborted_at END,
        skipped_at = CASE d.outcome -> 'timestamps' ->> 'skipped_at'
            WHEN 'now' THEN now() WHEN 'clear' THEN NULL ELSE d.skipped_at END,
        not_before = now() + greatest(
            (d.outcome ->> 'not_before_ms')::bigint,
            -- Seconds by thousandths are milliseconds.
            nullif(d.retry_backoff_seconds, 0)::bigint * :permille::bigint
                * (d.outcome -> 'retry_factors' ->> least(d.retries_count, 2))::bigint
        ) * interval '1 millisecond',
        -- A step that is asked for may never be answered: the guard looks soon. What is parked is due when it may go on.
        next_check_at = now() + CASE
            WHEN d.outcome -> 'steps' -> -1 ->> 'to' IN ('pre_importing', 'importing') THEN
                (SELECT least(max_step_duration_seconds, 15) FROM settings) * interval '1 second'
            WHEN (d.outcome ->> 'holds_slot')::boolean THEN
                coalesce((d.outcome ->> 'not_before_ms')::bigint, 0) * interval '1 millisecond'
        END,
        lease = NULL,
        leased_until = NULL,
        -- The list that was kept, if any, is compared; without one the row says so.
        tags_check = CASE d.outcome ->> 'tags'
            WHEN 'keep' THEN d.tags_check
            WHEN 'due' THEN CASE WHEN (SELECT verify_tags FROM settings) THEN 'tags_due' END
            WHEN 'clear' THEN NULL
            ELSE CASE
                WHEN d.tags_check IN ('tags_listed', 'tags_counted') THEN d.tags_check
                WHEN d.outcome ->> 'tags' = 'finish' AND (SELECT verify_tags FROM settings) THEN 'tags_unverified'
            END
        END,
        missing_tags = CASE d.outcome ->> 'tags' WHEN 'keep' THEN d.missing_tags END,
        detail = CASE
            WHEN d.outcome ->> 'forgets_detail' = 'true' THEN :detail::text
            ELSE coalesce(:detail::text, d.detail)
        END
    FROM decided AS d
    WHERE c.id = d.id AND d.verdict = 'applied'
    RETURNING c.*
),
freed AS (
    UPDATE migration_slots AS s SET
        repository_id = NULL,
        -- The waiting time counts from the end of a step. One that the registry refused to start was none.
        freed_at = CASE
            WHEN decided.outcome -> 'steps' -> -1 ->> 'event' = 'start_refused' THEN s.freed_at
            ELSE now()
        END
    -- By the number that the locked row holds: the snapshot may be from before the slot was taken.
    FROM decided
    JOIN changed ON changed.id = decided.id
    WHERE s.slot = decided.slot AND changed.slot IS NULL
    RETURNING s.slot
),
logged AS (
    INSERT INTO migration_transitions
        (repository_id, version, event, from_state, to_state, cause, attempt, reported_attempt, slot, detail)
    SELECT
        steps.id, steps.version, steps.event, steps.from_state, steps.to_state, :cause, changed.attempt,
        CASE WHEN :precondition = 'notification' THEN :attempt::uuid END, decided.slot, :detail::text
    FROM steps
    JOIN changed ON changed.id = steps.id
    JOIN decided ON decided.id = steps.id
    ORDER BY steps.version
),
ignored AS (
    INSERT INTO migration_transitions
        (repository_id, version, event, from_state, to_state, cause, applied, verdict, attempt,
        reported_attempt, slot, detail)
    SELECT
        decided.id, decided.version, :event, decided.migration_state, decided.migration_state, :cause, false,
        decided.verdict, decided.attempt, :attempt::uuid, decided.slot, :detail::text
    FROM decided
    WHERE :precondition = 'notification'
        AND decided.verdict IN ('earlier_attempt', 'already_over', 'nothing', 'unverified')
),
doubted AS (
    -- The registry is asked once the notification is answered; where that does not happen, the guard asks it next.
    -- A guard that has leased the row may have asked before, and does not say then when it looks next.
    UPDATE container_repositories AS c SET next_check_at = now(), lease = NULL, leased_until = NULL
    FROM decided
    WHERE c.id = decided.id AND decided.verdict = 'unverified'
),
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
SELECT jsonb_build_object(
    'verdict', decided.verdict,
    'before', decided.migration_state,
    'row', CASE WHEN decided.verdict = 'applied' THEN to_jsonb(changed) ELSE to_jsonb(before) END
)::text
FROM decided
JOIN before ON before.id = decided.id
LEFT JOIN changed ON changed.id = decided.id
