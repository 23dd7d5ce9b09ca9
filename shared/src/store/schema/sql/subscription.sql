DO $subscription$
DECLARE
    publisher text := current_setting('migration.publisher');
BEGIN
    IF EXISTS (
        SELECT FROM pg_subscription
        JOIN pg_database ON pg_database.oid = subdbid
        WHERE subname = 'registry_migrations' AND datname = current_database()
    ) THEN
        EXECUTE format('ALTER SUBSCRIPTION registry_migrations CONNECTION %L', publisher);
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM container_repositories) THEN
        RAISE EXCEPTION 'this cluster has repositories of its own, so it is no replica';
    END IF;
    -- What every schema begins with comes from the writer too.
    TRUNCATE
        container_repositories, migration_slots, migration_transitions, migration_settings, migration_settings_changes,
        replica_mark, migration_brake, migration_holds;
    -- The slot is there: making it as well would not go in a transaction.
    EXECUTE format(
        'CREATE SUBSCRIPTION registry_migrations CONNECTION %L PUBLICATION registry_migrations WITH (create_slot = false)',
        publisher
    );
EXCEPTION
    -- Told anew, or the server's log would hold the statement as the error's context, and in it the password. A
    -- connection that fails is the publisher's: this one is up, and nothing is left open.
    WHEN OTHERS THEN
        RAISE EXCEPTION USING
            ERRCODE = CASE WHEN SQLSTATE LIKE '08%' THEN 'P0001' ELSE SQLSTATE END,
            MESSAGE = SQLERRM;
END
$subscription$
