SELECT pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database()
