-- All tables but schema_versions, which each cluster has for itself, and replica_mark_times, migration_tag_lists,
-- migration_hold_changes and the importer's, which only the writer's are asked for.
DO $publication$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'registry_migrations') THEN
        CREATE PUBLICATION registry_migrations;
    END IF;
    ALTER PUBLICATION registry_migrations SET TABLE
        container_repositories, migration_slots, migration_transitions, migration_settings, migration_settings_changes,
        replica_mark, migration_brake, migration_holds;
END
$publication$
