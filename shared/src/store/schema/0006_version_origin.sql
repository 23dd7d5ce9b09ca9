-- A repository that is removed and registered again is a new row. Its versions begin above all those of the former
-- row, so that a caller who has seen the one is never shown the other. Each new row draws a number and begins at 2^20
-- times that: more changes than any row has, and still far below 2^53, up to which JSON's numbers are exact.
CREATE SEQUENCE container_repositories_drawn;

ALTER TABLE container_repositories
ALTER COLUMN version SET DEFAULT nextval('container_repositories_drawn') * 1048576;

GRANT USAGE ON SEQUENCE container_repositories_drawn TO migration_driver;

-- Tables of one row are too small to be analysed by themselves. The planner takes one that never was for hundreds of
-- rows, and each statement that reads it for a dear one.
ANALYZE migration_settings;

ANALYZE replica_mark;
