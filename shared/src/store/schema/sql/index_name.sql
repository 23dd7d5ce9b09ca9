-- For index_drop.sql, until the end of the transaction.
SELECT set_config('migration.index', :name, true)
