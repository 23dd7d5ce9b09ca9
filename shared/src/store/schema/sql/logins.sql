-- For roles.sql and iam_role.sql, until the end of the transaction: what creates a role takes no parameters.
SELECT (
    set_config('migration.logins', :logins, true) <> ''
    AND set_config('migration.iam_user', :iam_user, true) IS NOT NULL
)::text
