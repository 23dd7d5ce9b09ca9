-- Aurora's function is asked by its name in a text: elsewhere it does not exist, and Aurora in turn may refuse the
-- other branch. A standby has its primary's system identifier, and a start of its own. Transactions that are
-- read-only by their own wish say nothing about the server, so the default is looked at.
WITH itself AS MATERIALIZED (
    SELECT jsonb_build_object(
        'server', CASE
            WHEN to_regproc('aurora_db_instance_identifier') IS NOT NULL THEN (xpath(
                '//name/text()',
                query_to_xml('SELECT aurora_db_instance_identifier() AS name', false, false, '')
            ))[1]::text
            ELSE (SELECT system_identifier FROM pg_control_system())::text
                || '/' || extract(epoch FROM pg_postmaster_start_time())::text
        END,
        'read_only', pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'
    ) AS identity
)
