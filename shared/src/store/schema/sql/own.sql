DO $own$
DECLARE
    stack text := nullif(current_setting('migration.stack'), '');
BEGIN
    EXECUTE format('COMMENT ON ROLE migration_driver IS %L', 'of the stack ' || stack);
END
$own$
