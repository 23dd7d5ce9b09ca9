-- How the rows below a prefix stand, by the next part of their paths: `group/` is all that is below it, `image` is one
-- row. A part's rows stand together in the order of the paths, byte by byte, so that a page is a run of rows: each state's
-- share of it is found by index, and no more than :rows of them are looked at. The last part of a page may go on in the
-- next one; then it is in both.
--
-- A result holds 1 MiB: where there are more parts, the page ends sooner. The last path that it counts says where.
WITH found AS MATERIALIZED (
    SELECT of_state.path, of_state.migration_state
    FROM unnest(string_to_array(:states::text, ',')) AS wanted (state)
    CROSS JOIN LATERAL (
        SELECT r.path, r.migration_state FROM container_repositories AS r
        WHERE r.migration_state = wanted.state
            AND r.path COLLATE "C" > :after::text
            AND r.path COLLATE "C" >= :prefix::text
            AND r.path COLLATE "C" < :prefix::text || '~'
        ORDER BY r.path COLLATE "C"
        LIMIT :rows
    ) AS of_state
    ORDER BY of_state.path COLLATE "C"
    LIMIT :rows
),
numbered AS (
    SELECT
        found.path,
        found.migration_state,
        substr(found.path, length(:prefix::text) + 1) AS rest,
        -- Looked up row by row: a join might read the whole table for it.
        (SELECT c.tags_count FROM container_repositories AS c WHERE c.path = found.path) AS tags,
        row_number() OVER (ORDER BY found.path COLLATE "C") AS number
    FROM found
),
counted AS (
    SELECT
        :prefix::text || split_part(rest, '/', 1) || CASE WHEN position('/' IN rest) > 0 THEN '/' ELSE '' END AS part,
        migration_state,
        max(path COLLATE "C") AS last,
        count(*) AS count,
        coalesce(sum(tags), 0) AS tags,
        count(*) FILTER (WHERE tags IS NULL) AS tags_unknown
    FROM numbered
    -- The one row more only says that more follow.
    WHERE number < :rows
    GROUP BY part, migration_state
),
parts AS (
    SELECT
        max(last COLLATE "C") AS last,
        jsonb_build_object(
            'prefix', part,
            'repositories', sum(count),
            'states', jsonb_object_agg(migration_state, count),
            'tags', sum(tags),
            'tags_left', coalesce(sum(tags) FILTER (
                WHERE migration_state NOT IN ('import_done', 'import_skipped')
            ), 0),
            'tags_unknown', sum(tags_unknown),
            'last', max(last COLLATE "C")
        ) AS document
    FROM counted
    GROUP BY part
),
measured AS (
    SELECT
        parts.last,
        parts.document,
        (SELECT max(path COLLATE "C") FROM found) AS end_of_all,
        sum(octet_length(parts.document::text)) OVER (ORDER BY parts.last COLLATE "C") AS bytes
    FROM parts
)
SELECT jsonb_build_object('more', measured.last < measured.end_of_all COLLATE "C", 'row', measured.document)::text
FROM measured
WHERE measured.bytes <= 900000
ORDER BY measured.last COLLATE "C"
