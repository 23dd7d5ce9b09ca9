-- One run at a time. Held until the transaction ends.
SELECT pg_advisory_xact_lock(7236146)::text
