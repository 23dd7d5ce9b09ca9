SELECT jsonb_build_object(
    'identity', itself.identity,
    -- A logical replica may not have the row yet.
    'mark', coalesce((SELECT mark FROM replica_mark), 0)
)::text
FROM itself
