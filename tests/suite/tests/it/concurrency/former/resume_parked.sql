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
-- The parked row that is due longest goes on with the final step. It kept its slot.
repeated AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE change = :change::uuid
),
candidate AS MATERIALIZED (
    SELECT c.* FROM container_repositories AS c
    CROSS JOIN settings
    CROSS JOIN brake
    WHERE settings.enabled AND brake.held_by IS NULL
        AND c.migration_state = 'pre_import_done'
        AND (c.not_before IS NULL OR c.not_before <= now())
        AND NOT EXISTS (SELECT FROM repeated)
    ORDER BY c.not_before NULLS FIRST, c.id
    FOR UPDATE OF c SKIP LOCKED
    LIMIT 1
),
chosen AS MATERIALIZED (
    SELECT
        candidate.*, candidate.slot AS free_slot, brake.by_turns,
        :plan::jsonb -> candidate.migration_state -> 'otherwise' AS outcome
    FROM candidate
    CROSS JOIN brake
),
-- Of those that chose a row at once, only one is let through where starts go by turns. The others have passed it over.
let_through AS (
    INSERT INTO migration_brake AS b (turn)
    SELECT 1 FROM chosen WHERE chosen.by_turns
    ON CONFLICT (id) DO UPDATE SET
        turn = b.turn + 1,
        next_start_at = CASE
            WHEN b.opened_at IS NOT NULL THEN now() + interval '15 seconds' ELSE b.next_start_at END,
        -- A registry that has no room says so within this time.
        full_until = CASE
            WHEN b.full_until <= now() AND NOT b.full_tried THEN now() + interval '10 seconds'
            ELSE b.full_until END,
        full_tried = b.full_tried OR coalesce(b.full_until <= now(), false)
    WHERE b.turn = (SELECT turn FROM brake)
    RETURNING b.turn
),
decided AS MATERIALIZED (
    SELECT * FROM chosen WHERE CASE WHEN chosen.by_turns THEN EXISTS (SELECT FROM let_through) ELSE true END
),
-- Follows a statement's head, which has decided on one row, its slot and its outcome: every start, of whatever
-- cause, sets the same columns.
started AS (
    UPDATE container_repositories AS c SET
        migration_state = d.outcome -> 'steps' -> -1 ->> 'to',
        -- Every start is from a state that is not active.
        state_since = now(),
        version = d.version + jsonb_array_length(d.outcome -> 'steps'),
        change = :change::uuid,
        attempt = :change::uuid,
        slot = d.free_slot,
        skipped_reason = NULL,
        aborted_in_state = NULL,
        resume_state = d.outcome ->> 'resume_state',
        pre_import_started_at = CASE d.outcome -> 'timestamps' ->> 'pre_import_started_at'
            WHEN 'now' THEN now() ELSE d.pre_import_started_at END,
        pre_import_done_at = CASE d.outcome -> 'timestamps' ->> 'pre_import_done_at'
            WHEN 'clear' THEN NULL ELSE d.pre_import_done_at END,
        import_started_at = CASE d.outcome -> 'timestamps' ->> 'import_started_at'
            WHEN 'now' THEN now() ELSE d.import_started_at END,
        import_done_at = CASE d.outcome -> 'timestamps' ->> 'import_done_at'
            WHEN 'clear' THEN NULL ELSE d.import_done_at END,
        aborted_at = NULL,
        not_before = NULL,
        -- Its answer may never be recorded: the guard looks soon.
        next_check_at = now() + (SELECT least(max_step_duration_seconds, 15) FROM settings) * interval '1 second',
        lease = NULL,
        leased_until = NULL,
        tags_check = CASE
            WHEN d.outcome ->> 'tags' <> 'due' THEN d.tags_check
            WHEN (SELECT verify_tags FROM settings) THEN 'tags_due'
        END
    FROM decided AS d
    WHERE c.id = d.id
    RETURNING c.*
),
taken AS (
    UPDATE migration_slots AS s SET repository_id = started.id
    FROM started
    WHERE s.slot = started.slot AND s.repository_id IS DISTINCT FROM started.id
),
logged AS (
    INSERT INTO migration_transitions
        (repository_id, version, event, from_state, to_state, cause, attempt, slot)
    SELECT
        started.id, started.version, decided.outcome -> 'steps' -> -1 ->> 'event', decided.migration_state,
        started.migration_state, :cause, started.attempt, started.slot
    FROM started
    JOIN decided ON decided.id = started.id
)
SELECT jsonb_build_object(
    'verdict', CASE
        WHEN repeated.id IS NOT NULL THEN 'repeat'
        WHEN started.id IS NOT NULL THEN 'started'
        WHEN NOT settings.enabled THEN 'disabled'
        WHEN EXISTS (SELECT FROM chosen) THEN 'passed_over'
        WHEN brake.held_by IS NOT NULL THEN 'held'
        ELSE 'none_due'
    END,
    'held', CASE WHEN brake.held_by IS NOT NULL THEN
        jsonb_build_object('by', brake.held_by, 'until', brake.held_until) END,
    'row', coalesce(to_jsonb(started), to_jsonb(repeated))
)::text
FROM settings
CROSS JOIN brake
LEFT JOIN repeated ON true
LEFT JOIN started ON true
