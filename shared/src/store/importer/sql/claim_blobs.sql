-- Who copies which of these blobs: `here` is known to be in the repository, `mount` is in another of the target, `elsewhere`
-- is just being copied to another, and `mine` is for whoever asks. One that is copied by a dead worker is taken over, if that
-- was so when this began: of a claim that came since, the lease cannot be seen. It may have been stored before its worker
-- could note it, so it is mounted from there if it can be; but one of which parts were sent is left for a minute to whoever
-- goes on with them. In the order of the digests, so that two that ask at once wait for each other in one direction only.
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT digest FROM jsonb_array_elements_text(:digests::jsonb) AS w (digest)
),
known AS MATERIALIZED (
    SELECT
        wanted.digest,
        EXISTS (
            SELECT FROM import_blobs AS b
            WHERE b.digest = wanted.digest AND b.target = :target AND b.there
        ) AS here,
        (
            SELECT b.target FROM import_blobs AS b
            WHERE b.digest = wanted.digest AND b.there AND b.target <> :target
            LIMIT 1
        ) AS there
    FROM wanted
),
dead AS MATERIALIZED (
    SELECT b.digest, b.source, b.target FROM import_blobs AS b
    JOIN known ON known.digest = b.digest
    WHERE NOT b.there
        AND NOT EXISTS (SELECT FROM imports AS i WHERE i.source = b.source AND i.lease_until > now())
        AND NOT EXISTS (
            SELECT FROM import_uploads AS u JOIN imports AS i ON i.source = b.source AND i.slot IS NOT NULL
            WHERE u.target = b.target AND u.digest = b.digest AND u.updated_at > now() - interval '1 minute'
        )
),
claimed AS (
    INSERT INTO import_blobs AS b (digest, target, there, source)
    SELECT digest, :target, false, :source FROM known
    WHERE NOT here AND there IS NULL
    ORDER BY digest
    ON CONFLICT (digest) WHERE NOT there DO UPDATE SET target = excluded.target, source = excluded.source
        WHERE b.source = excluded.source
            OR EXISTS (SELECT FROM dead WHERE dead.digest = b.digest AND dead.source = b.source)
    RETURNING b.digest
)
SELECT jsonb_build_object(
    'digest', known.digest,
    'verdict', CASE
        WHEN known.here THEN 'here'
        WHEN known.there IS NOT NULL THEN 'mount'
        WHEN claimed.digest IS NOT NULL AND dead.target <> :target THEN 'mount'
        WHEN claimed.digest IS NOT NULL THEN 'mine'
        ELSE 'elsewhere'
    END,
    'from', coalesce(known.there, dead.target)
)::text
FROM known
LEFT JOIN claimed ON claimed.digest = known.digest
LEFT JOIN dead ON dead.digest = known.digest
CROSS JOIN (SELECT set_config('synchronous_commit', 'off', true)) AS soon
