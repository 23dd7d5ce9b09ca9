SELECT reader_enabled::text FROM migration_settings
