-- How far an index is, and which process makes it, if one does.
SELECT concat_ws(' ', CASE WHEN made.pid IS NOT NULL THEN 'made' WHEN i.indisvalid THEN 'valid' ELSE 'broken' END, made.pid)
FROM pg_index AS i
LEFT JOIN pg_stat_progress_create_index AS made ON made.index_relid = i.indexrelid
WHERE i.indexrelid = to_regclass('public.' || quote_ident(:name))
