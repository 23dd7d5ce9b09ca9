SELECT jsonb_build_object(
    'identity', itself.identity,
    -- A logical replica that still copies a table has rows of any age, or none.
    'mark', coalesce((
        SELECT mark FROM replica_mark
        WHERE NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r')
    ), 0)
)::text
FROM itself
