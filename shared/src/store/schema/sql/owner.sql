-- The stack that a cluster belongs to.
SELECT substr(comment, length('of the stack ') + 1)
FROM pg_roles, shobj_description(oid, 'pg_authid') AS comment
WHERE rolname = 'migration_driver' AND starts_with(comment, 'of the stack ')
