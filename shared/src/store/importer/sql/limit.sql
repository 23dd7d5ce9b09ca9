-- Sets or ends a limit, for what all workers together ask of a registry.
WITH ended AS (
    DELETE FROM import_limits WHERE side = :side AND action = :action AND :per_second::text IS NULL RETURNING side
),
kept AS (
    INSERT INTO import_limits (side, action, per_second)
    SELECT :side, :action, :per_second::double precision WHERE :per_second::text IS NOT NULL
    ON CONFLICT (side, action) DO UPDATE SET per_second = excluded.per_second
    RETURNING side
)
SELECT jsonb_build_object('kept', (SELECT count(*) FROM kept), 'ended', (SELECT count(*) FROM ended))::text
