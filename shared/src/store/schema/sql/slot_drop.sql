SELECT pg_drop_replication_slot(slot_name)::text
FROM pg_replication_slots
WHERE slot_name = 'registry_migrations' AND NOT active
