WITH ended AS (
    DELETE FROM import_uploads WHERE target = :target AND digest = :digest RETURNING digest
)
SELECT jsonb_build_object('ended', (SELECT count(*) FROM ended))::text
