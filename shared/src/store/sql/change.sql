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
            -- Asked only where a final step would begin.
            CASE WHEN entries.entry -> 'when_held' IS NOT NULL AND EXISTS (
                SELECT FROM migration_held_by(before.path)
            ) THEN entries.entry -> 'when_held' END,
            CASE WHEN NOT settings.enabled OR held.is_held THEN entries.entry -> 'when_disabled' END,
            CASE WHEN before.retries_count + 1 >= settings.max_retries THEN entries.entry -> 'at_retry_limit' END,
            entries.entry -> 'otherwise'
        ) AS outcome,
        held.step_begun_at
    FROM before
    CROSS JOIN settings
    CROSS JOIN LATERAL (
        SELECT :plan::jsonb -> concat_ws(
            '/', before.migration_state, coalesce(before.aborted_in_state, before.resume_state),
            CASE WHEN before.migration_state = 'pre_import_done' AND before.held_since IS NOT NULL THEN 'held' END
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
        held_since = CASE d.outcome ->> 'is_held' WHEN 'true' THEN now() END,
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
        -- What is held waits for its hold, however long that is: neither the guard looks at it nor the release before, which
        -- knows of no hold.
        not_before = CASE WHEN d.outcome ->> 'is_held' = 'true' THEN '9000-01-01T00:00:00Z' ELSE now() + greatest(
            (d.outcome ->> 'not_before_ms')::bigint,
            -- Seconds by thousandths are milliseconds.
            nullif(d.retry_backoff_seconds, 0)::bigint * :permille::bigint
                * (d.outcome -> 'retry_factors' ->> least(d.retries_count, 2))::bigint
        ) * interval '1 millisecond' END,
        -- A step that is asked for may never be answered: the guard looks soon. What is parked is due when it may go on.
        next_check_at = CASE WHEN d.outcome ->> 'is_held' = 'true' THEN '9000-01-01T00:00:00Z' ELSE now() + CASE
            WHEN d.outcome -> 'steps' -> -1 ->> 'to' IN ('pre_importing', 'importing') THEN
                (SELECT least(max_step_duration_seconds, 15) FROM settings) * interval '1 second'
            WHEN (d.outcome ->> 'holds_slot')::boolean THEN
                coalesce((d.outcome ->> 'not_before_ms')::bigint, 0) * interval '1 millisecond'
        END END,
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
        (repository_id, version, event, from_state, to_state, cause, attempt, reported_attempt, slot, detail, operator)
    SELECT
        steps.id, steps.version, steps.event, steps.from_state, steps.to_state, :cause, changed.attempt,
        CASE WHEN :precondition = 'notification' THEN :attempt::uuid END, decided.slot, :detail::text, :operator::text
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
