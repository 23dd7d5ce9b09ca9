SELECT to_jsonb(mark)::text FROM replica_mark
