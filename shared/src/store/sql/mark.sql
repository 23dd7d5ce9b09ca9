-- A mark that the reader does not have yet.
UPDATE replica_mark SET mark = mark + 1, marked_at = now() RETURNING to_jsonb(mark)::text
