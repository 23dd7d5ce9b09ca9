-- What a check-up asks of the server that shows rows. No more than the newest thousand transitions are looked at: the last
-- notification is among them, or long ago.
SELECT jsonb_build_object(
    'at', now(),
    -- Asked in a text: an earlier version's apply-schema did not let the reading role see it.
    'schema', CASE WHEN has_table_privilege(to_regclass('schema_versions'), 'SELECT') THEN (xpath(
        '//name/text()',
        query_to_xml('SELECT name FROM schema_versions ORDER BY number DESC LIMIT 1', false, false, '')
    ))[1]::text END,
    'read_only', pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on',
    'heartbeat_at', (SELECT marked_at FROM replica_mark),
    'notified_at', (
        SELECT max(latest.created_at)
        FROM (SELECT cause, created_at FROM migration_transitions ORDER BY id DESC LIMIT 1000) AS latest
        WHERE latest.cause = 'notification'
    )
)::text
