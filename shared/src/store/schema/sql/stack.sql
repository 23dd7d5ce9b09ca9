-- For own.sql, until the end of the transaction: what comments on a role takes no parameters.
SELECT set_config('migration.stack', :stack, true)
