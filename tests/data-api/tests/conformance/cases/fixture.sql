-- Far from UTC, so that it shows where a result is not in UTC.
ALTER DATABASE migrations SET TimeZone = 'Asia/Kathmandu';
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE TABLE things (
    id uuid PRIMARY KEY,
    number integer,
    mood mood,
    at timestamptz,
    document jsonb,
    amount numeric(12, 2),
    label varchar(20) UNIQUE DEFERRABLE INITIALLY IMMEDIATE
);
INSERT INTO things VALUES
    ('00000000-0000-0000-0000-000000000001', 1, 'happy', '2026-03-04 05:06:07.5+02', '{"a": [1]}', 10.50, 'one');
CREATE TABLE counted (id bigserial PRIMARY KEY, note text NOT NULL UNIQUE);
CREATE ROLE select_only LOGIN;
GRANT SELECT ON things, counted TO select_only;
CREATE FUNCTION takes_integer(value integer) RETURNS integer LANGUAGE sql AS 'SELECT value';
-- By the pair's pg_hba.conf.
CREATE ROLE asked_for_password;
SET password_encryption = 'scram-sha-256';
CREATE ROLE asked LOGIN PASSWORD 'right' IN ROLE asked_for_password;
