-- The newest line of the history that is ten seconds old: a reader that lacks it stands still. Gone through from the newest,
-- so only what was written since is passed over.
SELECT to_jsonb(id)::text FROM migration_transitions
WHERE created_at <= now() - interval '10 seconds'
ORDER BY id DESC
LIMIT 1
