SELECT identity::text FROM itself
