SELECT to_jsonb(count(*))::text FROM changed
