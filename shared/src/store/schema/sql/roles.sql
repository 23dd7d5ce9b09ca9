DO $roles$
DECLARE
    login record;
BEGIN
    FOR login IN
        SELECT key AS role, value AS verifier FROM json_each_text(current_setting('migration.logins')::json)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login.role) THEN
            EXECUTE format('CREATE ROLE %I', login.role);
        END IF;
        IF login.verifier IS NULL THEN
            EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', login.role);
        ELSE
            EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', login.role, login.verifier);
        END IF;
    END LOOP;
END
$roles$
