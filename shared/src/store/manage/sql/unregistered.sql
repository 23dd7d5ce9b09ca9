SELECT to_jsonb(g.path)::text
FROM jsonb_array_elements_text(:paths::jsonb) AS g (path)
WHERE NOT EXISTS (SELECT FROM container_repositories AS c WHERE c.path = g.path)
