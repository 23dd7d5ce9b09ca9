SELECT to_jsonb(s)::text FROM migration_settings AS s
