SELECT jsonb_build_object('digest', digest, 'location', location, 'sent', sent, 'hash', hash)::text
FROM import_uploads WHERE target = :target
