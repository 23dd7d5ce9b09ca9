-- Whoever else uses the tables goes on. Who waits for a lock keeps everybody behind it waiting, so no lock is waited for
-- longer than this; and if this process dies, what it has locked is free again. The scripts are written for one place
-- and one form of strings, whatever the database has of its own. Gives the session's process.
SELECT CASE WHEN
    set_config('lock_timeout', '2s', true) <> ''
    AND set_config('idle_in_transaction_session_timeout', '3s', true) <> ''
    AND set_config('search_path', 'public', true) <> ''
    AND set_config('standard_conforming_strings', 'on', true) <> ''
THEN pg_backend_pid()::text END
