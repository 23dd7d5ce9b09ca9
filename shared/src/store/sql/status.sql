SELECT to_jsonb(c)::text FROM container_repositories AS c WHERE c.path = :path
