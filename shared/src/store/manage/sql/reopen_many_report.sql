SELECT jsonb_build_object(
    'matching', (SELECT count(*) FROM matching),
    'reopened', (SELECT count(*) FROM changed),
    'sample', (
        SELECT coalesce(jsonb_agg(path ORDER BY path), '[]') FROM (SELECT path FROM changed ORDER BY path LIMIT 20) AS s
    )
)::text
