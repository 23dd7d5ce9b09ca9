-- Says what the comparison of a finished repository's tags came to, where the row still waits for that. What an operator
-- must know is a change of the row, with its version and its history; that all is well is none. Sent again it
-- recognises its own work.
WITH before AS MATERIALIZED (
    SELECT * FROM container_repositories WHERE path = :path FOR UPDATE
),
decided AS MATERIALIZED (
    SELECT
        before.*,
        CASE
            WHEN before.change = :change::uuid THEN 'repeat'
            WHEN before.migration_state = 'import_done'
                AND before.tags_check = ANY (string_to_array(:from::text, ',')) THEN 'applied'
            ELSE 'refused'
        END AS verdict
    FROM before
),
changed AS (
    UPDATE container_repositories AS c SET
        tags_check = :check,
        missing_tags = :missing::jsonb,
        version = c.version + CASE WHEN :logged THEN 1 ELSE 0 END,
        change = CASE WHEN :logged THEN :change::uuid ELSE c.change END
    FROM decided
    WHERE c.id = decided.id AND decided.verdict = 'applied'
    RETURNING c.*
),
dropped AS (
    DELETE FROM migration_tag_lists AS l
    USING changed
    WHERE l.repository_id = changed.id
),
logged AS (
    INSERT INTO migration_transitions
        (repository_id, version, event, from_state, to_state, cause, attempt, detail, operator)
    SELECT
        changed.id, changed.version, :check, changed.migration_state, changed.migration_state, :cause,
        changed.attempt, :detail::text, :operator::text
    FROM changed
    WHERE :logged
)
