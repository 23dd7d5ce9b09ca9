SELECT json_build_object('number', number, 'name', name, 'checksum', checksum)::text
FROM schema_versions
ORDER BY number
