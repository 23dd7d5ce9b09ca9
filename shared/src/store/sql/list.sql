-- A page of rows in the order of their paths, byte by byte. Each state's part of it is found by index, all of
-- the filter on the way, so a page costs as much whatever it is filtered by; only what is too young for the
-- filter is passed over, in the index. No character of a path comes after the tilde.
--
-- A result holds 1 MiB: where the rows are longer, the page has fewer of them, and says how many were found.
WITH page AS MATERIALIZED (
    SELECT c.path, to_jsonb(c) AS document
    FROM (
        SELECT of_state.path
        FROM unnest(string_to_array(:states::text, ',')) AS wanted (state)
        CROSS JOIN LATERAL (
            SELECT r.path FROM container_repositories AS r
            WHERE r.migration_state = wanted.state
                AND r.path COLLATE "C" > :after::text
                AND r.path COLLATE "C" >= :prefix::text
                AND r.path COLLATE "C" < :prefix::text || '~'
                AND r.state_since <= coalesce(now() - :older_than::bigint * interval '1 second', 'infinity')
            ORDER BY r.path COLLATE "C"
            LIMIT :limit
        ) AS of_state
        ORDER BY of_state.path COLLATE "C"
        LIMIT :limit
    ) AS found
    -- Each by the index: of some thousand rows all would be read, and thrown away but for a page.
    CROSS JOIN LATERAL (
        SELECT of_path.* FROM container_repositories AS of_path WHERE of_path.path = found.path OFFSET 0
    ) AS c
),
measured AS (
    SELECT
        page.path,
        page.document,
        count(*) OVER () AS found,
        sum(octet_length(page.document::text)) OVER (ORDER BY page.path COLLATE "C") AS bytes
    FROM page
)
SELECT jsonb_build_object('found', measured.found, 'row', measured.document)::text
FROM measured
WHERE measured.bytes <= 900000
ORDER BY measured.path COLLATE "C"
