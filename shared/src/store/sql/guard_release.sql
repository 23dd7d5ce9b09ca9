-- Ends leases, each with the time of the row's next look; without one the row is due again at once. A row that has been
-- changed since, or that somebody else has leased, is theirs. Rows are locked in one order, and none is waited for: the
-- lease of one that somebody holds ends by itself.
WITH held AS MATERIALIZED (
    SELECT c.id, look.next_check_at
    FROM jsonb_to_recordset(:looks::jsonb) AS look (path text, next_check_at timestamptz)
    JOIN container_repositories AS c ON c.path = look.path
    WHERE c.lease = :lease::uuid
    ORDER BY c.id
    FOR UPDATE OF c SKIP LOCKED
),
released AS (
    UPDATE container_repositories AS c SET
        lease = NULL,
        leased_until = NULL,
        next_check_at = coalesce(held.next_check_at, c.next_check_at)
    FROM held
    WHERE c.id = held.id
    RETURNING c.path
)
SELECT to_jsonb(released.path)::text FROM released
