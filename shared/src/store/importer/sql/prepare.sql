-- The settings, and slots for them. `alone`: no other process works here, so whoever holds a lease is dead and has
-- nothing under way; what it had sent of a blob is left to whoever goes on with it, for a while from now on.
WITH settings AS (
    INSERT INTO importer_settings (capacity, lease_seconds) VALUES (:capacity::integer, :lease_seconds::integer)
    ON CONFLICT (id) DO UPDATE SET capacity = excluded.capacity, lease_seconds = excluded.lease_seconds
    RETURNING capacity
),
made AS (
    INSERT INTO import_slots (slot) SELECT generate_series(1, settings.capacity) FROM settings
    ON CONFLICT (slot) DO NOTHING
    RETURNING slot
),
ended AS (
    UPDATE imports SET worker = NULL, lease_until = NULL WHERE :alone::boolean AND worker IS NOT NULL
    RETURNING source
),
left_over AS (
    UPDATE import_uploads SET updated_at = now() WHERE :alone::boolean
)
SELECT jsonb_build_object(
    'made', (SELECT count(*) FROM made), 'ended', (SELECT count(*) FROM ended)
)::text
