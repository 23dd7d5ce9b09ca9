DO $roles$
DECLARE
    login record;
BEGIN
    FOR login IN
        SELECT * FROM (VALUES
            ('migration_driver', current_setting('migration.driver_verifier')),
            ('migration_reader', current_setting('migration.reader_verifier'))
        ) AS logins (role, verifier)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login.role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', login.role);
        END IF;
        EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', login.role, login.verifier);
    END LOOP;
END
$roles$
