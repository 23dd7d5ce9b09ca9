-- Only one that nobody makes. Its name comes from index_name.sql: what drops an index takes no parameters.
DO $drop$
DECLARE
    broken text := current_setting('migration.index');
BEGIN
    IF EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indexrelid = to_regclass('public.' || quote_ident(broken)) AND NOT i.indisvalid
            AND NOT EXISTS (
                SELECT FROM pg_stat_progress_create_index AS made WHERE made.index_relid = i.indexrelid
            )
    ) THEN
        EXECUTE format('DROP INDEX public.%I', broken);
    END IF;
END
$drop$
