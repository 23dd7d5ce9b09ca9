-- A role that has rds_iam can no longer log in by password. So one that is somebody's is not given it.
DO $iam$
DECLARE
    iam_user text := current_setting('migration.iam_user');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = iam_user) THEN
        EXECUTE format('CREATE ROLE %I LOGIN IN ROLE migration_reader', iam_user);
    ELSIF NOT EXISTS (
        SELECT FROM pg_auth_members
        WHERE roleid = 'migration_reader'::regrole AND member = quote_ident(iam_user)::regrole
    ) THEN
        RAISE EXCEPTION 'the role % is there already and is not one that only reads', iam_user;
    END IF;
    EXECUTE format('GRANT rds_iam TO %I', iam_user);
END
$iam$
