-- Whether fewer than the capacity are in progress. Slots are the lock, and within the capacity a free one says that there
-- is room. Only while one above it is occupied, since the capacity was lowered, are those in progress counted; and since
-- what another claim has not committed yet is not counted, claims go by turns then.
room AS MATERIALIZED (
    SELECT
        occupied.highest > settings.capacity AS by_turns,
        CASE WHEN occupied.highest > settings.capacity THEN settings.capacity > (
            SELECT count(*) FROM container_repositories WHERE slot IS NOT NULL
        ) ELSE true END AS is_left
    FROM settings
    CROSS JOIN (SELECT coalesce(max(slot), 0) AS highest FROM container_repositories) AS occupied
),
