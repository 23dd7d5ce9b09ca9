-- Follows a statement's head, which has locked and picked rows of any number: each makes the one step that the
-- plan has for its situation, with its history. Each gets the id of a change that nobody else knows: sent again
-- such a statement does not recognise its own work, it only finds those rows no longer to be picked.
decided AS MATERIALIZED (
    SELECT
        picked.*,
        :plan::jsonb -> concat_ws(
            '/', picked.migration_state, coalesce(picked.aborted_in_state, picked.resume_state)
        ) -> 'otherwise' AS outcome
    FROM picked
),
changed AS (
    UPDATE container_repositories AS c SET
        migration_state = d.outcome -> 'steps' -> 0 ->> 'to',
        state_since = now(),
        version = d.version + 1,
        change = gen_random_uuid(),
        attempt = CASE d.outcome ->> 'attempt' WHEN 'clear' THEN NULL ELSE d.attempt END,
        slot = CASE WHEN (d.outcome ->> 'holds_slot')::boolean THEN d.slot END,
        retries_count = CASE d.outcome ->> 'retries' WHEN 'reset' THEN 0 ELSE d.retries_count END,
        skipped_reason = (d.outcome ->> 'skipped_reason')::smallint,
        aborted_in_state = d.outcome ->> 'aborted_in_state',
        resume_state = d.outcome ->> 'resume_state',
        pre_import_started_at = CASE d.outcome -> 'timestamps' ->> 'pre_import_started_at'
            WHEN 'clear' THEN NULL ELSE d.pre_import_started_at END,
        pre_import_done_at = CASE d.outcome -> 'timestamps' ->> 'pre_import_done_at'
            WHEN 'clear' THEN NULL ELSE d.pre_import_done_at END,
        import_started_at = CASE d.outcome -> 'timestamps' ->> 'import_started_at'
            WHEN 'clear' THEN NULL ELSE d.import_started_at END,
        import_done_at = CASE d.outcome -> 'timestamps' ->> 'import_done_at'
            WHEN 'clear' THEN NULL ELSE d.import_done_at END,
        aborted_at = CASE d.outcome -> 'timestamps' ->> 'aborted_at'
            WHEN 'clear' THEN NULL ELSE d.aborted_at END,
        skipped_at = CASE d.outcome -> 'timestamps' ->> 'skipped_at'
            WHEN 'now' THEN now() WHEN 'clear' THEN NULL ELSE d.skipped_at END,
        detail = CASE WHEN d.outcome ->> 'forgets_detail' = 'true' THEN :detail::text ELSE d.detail END,
        not_before = NULL,
        next_check_at = NULL,
        lease = NULL,
        leased_until = NULL,
        tags_check = CASE d.outcome ->> 'tags' WHEN 'keep' THEN d.tags_check END,
        missing_tags = CASE d.outcome ->> 'tags' WHEN 'keep' THEN d.missing_tags END
    FROM decided AS d
    WHERE c.id = d.id AND jsonb_array_length(d.outcome -> 'steps') = 1
    RETURNING c.*
),
logged AS (
    INSERT INTO migration_transitions
        (repository_id, version, event, from_state, to_state, cause, attempt, slot, detail, operator)
    SELECT
        changed.id, changed.version, decided.outcome -> 'steps' -> 0 ->> 'event', decided.migration_state,
        changed.migration_state, :cause, changed.attempt, decided.slot,
        :detail::text, :operator::text
    FROM changed
    JOIN decided ON decided.id = changed.id
)
