-- The settings, and slots for them. `alone`: no other process works here, so whoever holds a lease is dead and has
-- nothing under way.
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
)
SELECT jsonb_build_object(
    'made', (SELECT count(*) FROM made), 'ended', (SELECT count(*) FROM ended)
)::text
