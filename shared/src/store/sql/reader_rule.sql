SELECT jsonb_build_object('reader_enabled', reader_enabled, 'due_mark', mark)::text FROM due
