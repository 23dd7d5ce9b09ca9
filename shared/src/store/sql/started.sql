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
        held_since = NULL,
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
        (repository_id, version, event, from_state, to_state, cause, attempt, slot, operator)
    SELECT
        started.id, started.version, decided.outcome -> 'steps' -> -1 ->> 'event', decided.migration_state,
        started.migration_state, :cause, started.attempt, started.slot, :operator::text
    FROM started
    JOIN decided ON decided.id = started.id
)
