-- Notes in the history what the registry is asked for, unless the row has moved on since it was seen: once more
-- for the step of its attempt (`ask_again`: `asking`, and `accepted` when the registry has accepted that), or that the
-- step be canceled (`cancel`). The row does not change. A line too many says nothing else than one, so the statement
-- may be sent again.
before AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE path = :path FOR UPDATE
),
decided AS MATERIALIZED (
    SELECT
        before.*,
        CASE
            WHEN before.version <> :version OR before.attempt IS DISTINCT FROM :attempt::uuid THEN 'superseded'
            WHEN :note = 'asking' AND (NOT settings.enabled OR brake.is_stopped OR brake.opened_at IS NOT NULL)
                THEN 'disabled'
            WHEN :note = 'asking' AND before.migration_state = 'importing' AND EXISTS (
                SELECT FROM migration_held_by(before.path)
            ) THEN 'disabled'
            ELSE 'noted'
        END AS verdict
    FROM before
    CROSS JOIN settings
    CROSS JOIN brake
),
noted AS (
    INSERT INTO migration_transitions
        (repository_id, version, event, from_state, to_state, cause, applied, verdict, attempt, slot, operator)
    SELECT
        decided.id, decided.version, :event, decided.migration_state, decided.migration_state, :cause, false,
        :note, decided.attempt, decided.slot, :operator::text
    FROM decided
    WHERE decided.verdict = 'noted'
)
SELECT to_jsonb(decided.verdict)::text FROM decided
