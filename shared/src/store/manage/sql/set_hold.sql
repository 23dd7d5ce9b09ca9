-- Replaces a prefix's hold. Sent again it recognises its own change.
WITH repeated AS MATERIALIZED (
    SELECT change FROM migration_hold_changes WHERE change = :change::uuid
),
decided AS MATERIALIZED (
    SELECT CASE
        WHEN EXISTS (SELECT FROM repeated) THEN 'repeat'
        WHEN :zone::text IS NOT NULL AND NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = :zone::text)
            THEN 'unknown_zone'
        WHEN (SELECT count(*) FROM migration_holds WHERE prefix <> :prefix::text) >= :most THEN 'too_many'
        ELSE 'set'
    END AS verdict
),
set AS (
    INSERT INTO migration_holds AS h (prefix, is_until_released, opens, closes, zone, priority, reason, operator)
    SELECT
        :prefix::text, :until_released, :opens::time, :closes::time, :zone::text, :priority::integer, :reason::text,
        :operator::text
    FROM decided WHERE decided.verdict = 'set'
    ON CONFLICT (prefix) DO UPDATE SET
        is_until_released = EXCLUDED.is_until_released,
        opens = EXCLUDED.opens,
        closes = EXCLUDED.closes,
        zone = EXCLUDED.zone,
        priority = EXCLUDED.priority,
        reason = EXCLUDED.reason,
        operator = EXCLUDED.operator,
        changed_at = now()
    RETURNING h.*
),
kept AS (
    INSERT INTO migration_hold_changes (change, prefix, hold, operator)
    SELECT :change::uuid, set.prefix, to_jsonb(set), set.operator FROM set
)
SELECT to_jsonb(CASE decided.verdict WHEN 'repeat' THEN 'set' ELSE decided.verdict END)::text FROM decided
