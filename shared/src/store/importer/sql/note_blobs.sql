-- Which blobs the repository has now, and which whoever claimed them does not copy. It only saves work, so nobody waits for
-- the disk.
WITH there AS MATERIALIZED (
    SELECT DISTINCT digest FROM jsonb_array_elements_text(:there::jsonb) AS w (digest)
),
noted AS (
    INSERT INTO import_blobs AS b (digest, target, there, source)
    SELECT digest, :target, true, :source FROM there
    ORDER BY digest
    ON CONFLICT (digest, target) DO UPDATE SET there = true WHERE NOT b.there
    RETURNING b.digest
),
dropped AS (
    DELETE FROM import_blobs AS b USING jsonb_array_elements_text(:dropped::jsonb) AS w (digest)
    WHERE b.digest = w.digest AND b.target = :target
    RETURNING b.digest
)
SELECT jsonb_build_object(
    'noted', (SELECT count(*) FROM noted), 'dropped', (SELECT count(*) FROM dropped),
    'soon', set_config('synchronous_commit', 'off', true)
)::text
