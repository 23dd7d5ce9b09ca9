SELECT jsonb_build_object(
    'identity', itself.identity,
    'reader_enabled', due.reader_enabled,
    'due_mark', due.mark
)::text
FROM itself
CROSS JOIN due
