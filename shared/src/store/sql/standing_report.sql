SELECT jsonb_build_object('identity', itself.identity, 'reader_enabled', settings.reader_enabled)::text
FROM itself
CROSS JOIN migration_settings AS settings
