-- Whoever shows rows also shows which scripts were applied.
GRANT SELECT ON schema_versions TO migration_reader
