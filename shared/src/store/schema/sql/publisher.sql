-- For subscription.sql, until the end of the transaction: what creates a subscription takes no parameters.
SELECT (set_config('migration.publisher', :connection, true) <> '')::text
