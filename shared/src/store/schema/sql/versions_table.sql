CREATE TABLE IF NOT EXISTS schema_versions (
    number integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    -- SHA-256 of the script's text, in hexadecimal digits.
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
