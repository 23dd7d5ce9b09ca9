SELECT EXISTS (
    SELECT FROM pg_subscription
    JOIN pg_database ON pg_database.oid = subdbid
    WHERE subname = 'registry_migrations' AND datname = current_database()
)::text
