INSERT INTO schema_versions (number, name, checksum) VALUES (:number, :name, :checksum)
