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
