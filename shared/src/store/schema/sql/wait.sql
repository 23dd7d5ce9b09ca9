-- The longest that any lock is waited for: below the 45 seconds of a call.
SELECT set_config('lock_timeout', '20s', true)
