SELECT jsonb_build_object(
    'identity', itself.identity,
    'heartbeat', coalesce((SELECT mark FROM replica_mark), 0),
    -- A logical replica that still copies a table has rows of any age, or none.
    'is_copying', EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r')
)::text
FROM itself
