-- For roles.sql, until the end of the transaction: what creates a role takes no parameters.
SELECT (
    set_config('migration.driver_verifier', :driver, true) <> ''
    AND set_config('migration.reader_verifier', :reader, true) <> ''
)::text
