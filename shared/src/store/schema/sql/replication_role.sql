-- On Aurora nobody may give the attribute, and a role stands for it.
DO $replication$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication') THEN
        GRANT rds_replication TO migration_replication;
    ELSE
        ALTER ROLE migration_replication REPLICATION;
    END IF;
    -- For the first copy of the tables.
    GRANT migration_reader TO migration_replication;
END
$replication$
