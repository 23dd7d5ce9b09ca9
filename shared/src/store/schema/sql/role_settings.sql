-- What the statements rely on, whatever the database, the cluster or the role has of its own: a role's settings in a
-- database come before those. Sessions that are open keep what they have.
DO $settings$
DECLARE
    login record;
    setting record;
BEGIN
    FOR login IN
        SELECT key AS role FROM json_each_text(current_setting('migration.logins')::json)
        UNION
        SELECT current_setting('migration.iam_user') WHERE current_setting('migration.iam_user') <> ''
    LOOP
        FOR setting IN
            SELECT * FROM (VALUES
                ('default_transaction_isolation', 'read committed'),
                ('default_transaction_read_only', 'off'),
                ('default_transaction_deferrable', 'off'),
                ('search_path', 'public'),
                ('statement_timeout', '0'),
                ('lock_timeout', '0'),
                ('idle_in_transaction_session_timeout', '0'),
                ('TimeZone', 'UTC'),
                ('DateStyle', 'ISO, MDY'),
                ('IntervalStyle', 'postgres'),
                ('bytea_output', 'hex'),
                ('extra_float_digits', '1'),
                ('standard_conforming_strings', 'on'),
                ('transform_null_equals', 'off'),
                ('row_security', 'on')
            ) AS relied_on (name, value)
        LOOP
            EXECUTE format(
                'ALTER ROLE %I IN DATABASE %I SET %I = %L',
                login.role, current_database(), setting.name, setting.value
            );
        END LOOP;
    END LOOP;
END
$settings$
